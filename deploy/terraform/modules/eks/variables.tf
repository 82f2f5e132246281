variable "name" {
  description = "Name of the cluster."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$", var.name))
    error_message = "name must be 1 to 100 letters, digits, dashes and underscores, and start with a letter or digit."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version."
  type        = string
  default     = "1.35"
  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version))
    error_message = "kubernetes_version must look like 1.35."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the nodes and of the control plane's interfaces."
  type        = list(string)
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must be 2 or more, in different zones: EKS refuses fewer."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts secrets and logs."
  type        = string
}

variable "public_access_cidrs" {
  description = "Addresses from which the API may be reached over the internet; empty: from the VPC only."
  type        = list(string)
  default     = []
  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrhost(cidr, 0)) && can(regex("/([89]|[1-9][0-9]+)$", cidr))])
    error_message = "public_access_cidrs must be address ranges of /8 or smaller, never the whole internet: name who may administer the cluster."
  }
}

variable "admin_principal_arns" {
  description = "IAM users or roles that may administer the cluster; at least one, or nobody can."
  type        = list(string)
  validation {
    condition     = length(var.admin_principal_arns) > 0
    error_message = "admin_principal_arns must name at least one role or user: nobody could reach the cluster."
  }
}

variable "log_retention_days" {
  description = "How long control-plane logs are kept, days."
  type        = number
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827 or 3653."
  }
}
