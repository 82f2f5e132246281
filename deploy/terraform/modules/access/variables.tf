variable "name" {
  description = "What the roles' names start with."
  type        = string
}

variable "account_id" {
  description = "AWS account, 12 digits."
  type        = string
  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id must be 12 digits."
  }
}

variable "eks_cluster_name" {
  description = "The EKS cluster."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of the MSK cluster."
  type        = string
}

variable "topic_arn_prefix" {
  description = "ARN of a topic without /TOPIC."
  type        = string
}

variable "group_arn_prefix" {
  description = "ARN of a group without /GROUP."
  type        = string
}

variable "topic" {
  description = "The one topic that may be used."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.topic))
    error_message = "topic must be a topic's name; a wildcard would open other tenants' topics."
  }
}

variable "consumer_group" {
  description = "The one group that may be used."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]+$", var.consumer_group))
    error_message = "consumer_group must be a group's name; a wildcard would open other tenants' groups."
  }
}

variable "namespace" {
  description = "Kubernetes namespace of producer, consumer and scaler."
  type        = string
}

variable "scaler_fences" {
  description = "Let the scaler end the membership of pods that are gone."
  type        = bool
  default     = false
}

variable "database_iam_arn" {
  description = "arn:...:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/USER that the consumer may log in as; empty: none."
  type        = string
  default     = ""
}
