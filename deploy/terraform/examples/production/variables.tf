variable "region" {
  description = "AWS region; deploy-infra.sh passes AWS_REGION."
  type        = string
}

variable "account_id" {
  description = "AWS account; deploy-infra.sh passes AWS_ACCOUNT_ID."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "public_access_cidrs" {
  description = "Addresses from which kubectl may reach the API, for example [\"203.0.113.7/32\"]; empty: from the VPC only."
  type        = list(string)
  default     = []
}

variable "topic" {
  description = "Topic of the records."
  type        = string
  default     = "trade-tx"
}

variable "consumer_group" {
  description = "Consumer group."
  type        = string
  default     = "tx-trade-workers"
}

variable "namespace" {
  description = "Kubernetes namespace."
  type        = string
  default     = "trade-tx"
}

variable "budget_email" {
  description = "Who is told when the month's money runs out; empty: no budget."
  type        = string
  default     = ""
}
