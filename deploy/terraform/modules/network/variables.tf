variable "name" {
  description = "Name of the VPC, and what its parts' names start with."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC, a /16."
  type        = string
  default     = "10.0.0.0/16"
  validation {
    condition     = can(cidrhost(var.cidr, 0)) && endswith(var.cidr, "/16")
    error_message = "cidr must be a /16, for example 10.0.0.0/16."
  }
}

variable "zone_count" {
  description = "Availability zones, 2 or 3."
  type        = number
  default     = 2
  validation {
    condition     = contains([2, 3], var.zone_count)
    error_message = "zone_count must be 2 or 3."
  }
}

variable "nat" {
  description = "NAT gateways: none, single or per_zone. None works only with images in ECR."
  type        = string
  default     = "single"
  validation {
    condition     = contains(["none", "single", "per_zone"], var.nat)
    error_message = "nat must be none, single or per_zone."
  }
}

variable "log_retention_days" {
  description = "How long the log of rejected connections is kept, days."
  type        = number
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827 or 3653."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the log."
  type        = string
}
