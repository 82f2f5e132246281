variable "name" {
  description = "Name of the cluster."
  type        = string
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
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrhost(cidr, 0)) && cidr != "0.0.0.0/0"])
    error_message = "public_access_cidrs must be address ranges, and not 0.0.0.0/0: name who may administer the cluster."
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
}
