variable "name" {
  description = "What the roles' names start with."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9_+=,.@-]{1,55}$", var.name))
    error_message = "name must be 1 to 55 characters that a role name may have: -producer comes behind it."
  }
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
  validation {
    condition     = can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/*]+/[^/*]+$", var.cluster_arn))
    error_message = "cluster_arn must be arn:...:kafka:REGION:ACCOUNT:cluster/NAME/UUID, of one cluster."
  }
}

variable "topic_arn_prefix" {
  description = "ARN of a topic without /TOPIC."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:topic/[^/*]+/[^/*]+$", var.topic_arn_prefix))
    error_message = "topic_arn_prefix must be arn:...:kafka:REGION:ACCOUNT:topic/NAME/UUID, of one cluster."
  }
}

variable "group_arn_prefix" {
  description = "ARN of a group without /GROUP."
  type        = string
  validation {
    condition     = can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:group/[^/*]+/[^/*]+$", var.group_arn_prefix))
    error_message = "group_arn_prefix must be arn:...:kafka:REGION:ACCOUNT:group/NAME/UUID, of one cluster."
  }
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
  validation {
    condition     = can(regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace must be a Kubernetes namespace: lower case letters, digits and dashes."
  }
}

variable "dead_letter_topic" {
  description = "Topic that the consumer may write dead letters to; empty: none."
  type        = string
  default     = ""
  validation {
    condition     = var.dead_letter_topic == "" || can(regex("^[A-Za-z0-9._-]+$", var.dead_letter_topic))
    error_message = "dead_letter_topic must be a topic's name; a wildcard would open other tenants' topics."
  }
  validation {
    condition     = var.dead_letter_topic != var.topic
    error_message = "dead_letter_topic must be another topic than the records': its letters would be read again."
  }
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
  validation {
    condition     = var.database_iam_arn == "" || can(regex("^arn:[a-z-]+:rds-db:[a-z0-9-]+:[0-9]{12}:dbuser:[^/*]+/[^/*]+$", var.database_iam_arn))
    error_message = "database_iam_arn must be arn:...:rds-db:REGION:ACCOUNT:dbuser:RESOURCE/USER, of one user."
  }
}
