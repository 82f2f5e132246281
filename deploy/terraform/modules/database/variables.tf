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
}

variable "database" {
  description = "Name of the database in it."
  type        = string
  default     = "trades"
}

variable "min_capacity" {
  description = "Least capacity, Aurora capacity units."
  type        = number
  default     = 0.5
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
}

variable "backup_days" {
  description = "How long backups are kept, days."
  type        = number
  default     = 7
}

variable "deletion_protection" {
  description = "Refuse to be destroyed, and keep a last snapshot."
  type        = bool
  default     = true
}
