variable "name" {
  description = "Name of everything, and the value of the tag Project."
  type        = string
  default     = "trade-tx"
  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "name must be 2 to 31 lower case letters, digits and dashes, and start with a letter."
  }
}

variable "production" {
  description = "Survive the loss of a zone, and refuse to be destroyed by mistake."
  type        = bool
  default     = false
  validation {
    condition     = !var.production || (var.zone_count == 3 && var.nat != "single")
    error_message = "production needs zone_count = 3 and nat = \"per_zone\" (or \"none\"): one NAT gateway falls with its zone."
  }
  validation {
    condition     = !var.production || (var.replication_factor >= 3 && var.min_insync_replicas >= 2)
    error_message = "production needs replication_factor of 3 or more and min_insync_replicas of 2 or more: a record that one broker alone has is lost with it."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, a /16."
  type        = string
  default     = "10.0.0.0/16"
}

variable "zone_count" {
  description = "Availability zones, 2 or 3."
  type        = number
  default     = 2
}

variable "nat" {
  description = "NAT gateways: none, single or per_zone."
  type        = string
  default     = "single"
}

variable "kubernetes_version" {
  description = "Kubernetes version."
  type        = string
  default     = "1.35"
}

variable "public_access_cidrs" {
  description = "Addresses from which the Kubernetes API may be reached over the internet; empty: from the VPC only."
  type        = list(string)
  default     = []
}

variable "admin_principal_arns" {
  description = "IAM users or roles that may administer the cluster."
  type        = list(string)
}

variable "kafka_version" {
  description = "Kafka version on MSK."
  type        = string
  default     = "4.1.x.kraft"
}

variable "broker_class" {
  description = "Instance class of a broker."
  type        = string
  default     = "kafka.m7g.large"
}

variable "broker_count" {
  description = "Brokers in all, a multiple of the zones."
  type        = number
  default     = 2
}

variable "storage_gib" {
  description = "First size of a broker's volume, GiB."
  type        = number
  default     = 100
}

variable "topic" {
  description = "Topic of the records."
  type        = string
  default     = "trade-tx"
}

variable "dead_letter_topic" {
  description = "Topic of dead letters that is made, and that the consumer may write to (consumer.deadLetterTopic of the chart); empty: none."
  type        = string
  default     = ""
}

variable "consumer_group" {
  description = "Consumer group."
  type        = string
  default     = "tx-trade-workers"
}

variable "partitions" {
  description = "Partitions of the topic."
  type        = number
  default     = 120
}

variable "max_consumers" {
  description = "Most consumer pods, scaling.maxReplicas of the chart."
  type        = number
  default     = 100
}

variable "replication_factor" {
  description = "Copies of each partition."
  type        = number
  default     = 2
}

variable "min_insync_replicas" {
  description = "Copies that must have a record before it is acknowledged."
  type        = number
  default     = 1
}

variable "namespace" {
  description = "Kubernetes namespace of producer, consumer and scaler."
  type        = string
  default     = "trade-tx"
}

variable "scaler_fences" {
  description = "Let the scaler end the membership of pods that are gone (scaler.fencePods of the chart)."
  type        = bool
  default     = false
}

variable "database" {
  description = "Also make an Aurora PostgreSQL."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "How long logs of brokers, control plane and rejected connections are kept, days."
  type        = number
  default     = 30
}

variable "budget_email" {
  description = "Who is told when the month's money runs out; empty: no budget."
  type        = string
  default     = ""
}

variable "budget_monthly_usd" {
  description = "Budget of a month, USD."
  type        = number
  default     = 1500
}
