variable "name" {
  description = "Name of the database cluster."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the database."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, at least two."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must be 2 or more, in different zones."
  }
}

variable "client_security_group_id" {
  description = "Security group of those who may connect: the cluster's nodes."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the data and the password."
  type        = string
}

variable "engine_version" {
  description = "Version of Aurora PostgreSQL."
  type        = string
  default     = "17.5"
  validation {
    condition     = can(regex("^(1[3-9])\\.[0-9]+$", var.engine_version))
    error_message = "engine_version must look like 17.5, 13 or newer."
  }
}

variable "database" {
  description = "Name of the database in it."
  type        = string
  default     = "trades"
  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.database))
    error_message = "database must be a name of lower case letters, digits and underscores, 63 at most."
  }
}

variable "min_capacity" {
  description = "Least capacity, Aurora capacity units."
  type        = number
  default     = 0.5
  validation {
    condition     = var.min_capacity >= 0 && var.min_capacity <= var.max_capacity && var.min_capacity * 2 == floor(var.min_capacity * 2)
    error_message = "min_capacity must be 0 to max_capacity Aurora capacity units, in steps of 0.5."
  }
}

variable "max_capacity" {
  description = "Most capacity, Aurora capacity units."
  type        = number
  default     = 16
  validation {
    condition     = var.max_capacity >= 1 && var.max_capacity <= 256
    error_message = "max_capacity must be 1 to 256 Aurora capacity units."
  }
}

variable "instance_count" {
  description = "Instances: 1, or 2 and more for failover."
  type        = number
  default     = 1
  validation {
    condition     = var.instance_count >= 1 && var.instance_count <= 15
    error_message = "instance_count must be 1 to 15."
  }
}

variable "backup_days" {
  description = "How long backups are kept, days."
  type        = number
  default     = 7
  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days must be 1 to 35."
  }
}

variable "deletion_protection" {
  description = "Refuse to be destroyed, and keep a last snapshot."
  type        = bool
  default     = true
}
