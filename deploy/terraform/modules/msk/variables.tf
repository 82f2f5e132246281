variable "name" {
  description = "Name of the cluster."
  type        = string
}

variable "vpc_id" {
  description = "VPC of the brokers."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets, one a zone."
  type        = list(string)
}

variable "client_security_group_id" {
  description = "Security group of those who may connect: the cluster's nodes."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts volumes and logs."
  type        = string
}

variable "kafka_version" {
  description = "Kafka version on MSK; 4.0 and newer offer KIP-848 groups."
  type        = string
  default     = "4.1.x.kraft"
}

variable "broker_class" {
  description = "Instance class of a broker."
  type        = string
  default     = "kafka.m7g.large"
  validation {
    condition     = startswith(var.broker_class, "kafka.")
    error_message = "broker_class must start with kafka., for example kafka.m7g.large."
  }
}

variable "broker_count" {
  description = "Brokers in all, a multiple of the zones."
  type        = number
  default     = 3
  validation {
    condition     = var.broker_count >= 2
    error_message = "broker_count must be 2 or more."
  }
}

variable "storage_gib" {
  description = "First size of a broker's volume, GiB."
  type        = number
  default     = 100
}

variable "storage_max_gib" {
  description = "Size up to which a volume may grow by itself, GiB."
  type        = number
  default     = 1000
}

variable "topic" {
  description = "Topic of the records."
  type        = string
}

variable "partitions" {
  description = "Partitions of the topic. A count with many divisors lets the number of pods change in small steps: the fullest pod has ceil(partitions / pods)."
  type        = number
  default     = 120
  validation {
    condition     = var.partitions >= 1 && var.partitions <= 4000
    error_message = "partitions must be 1 to 4000."
  }
}

variable "max_consumers" {
  description = "Most consumer pods; at most the partitions."
  type        = number
}

variable "replication_factor" {
  description = "Copies of each partition."
  type        = number
  default     = 3
}

variable "min_insync_replicas" {
  description = "Copies that must have a record before it is acknowledged; below replication_factor, so that a broker may be lost."
  type        = number
  default     = 2
}

variable "retention_hours" {
  description = "How long records are kept, hours."
  type        = number
  default     = 168
}

variable "log_retention_days" {
  description = "How long broker logs are kept, days."
  type        = number
  default     = 30
}

variable "tune_consumer_groups" {
  description = "Set the broker's group.consumer.* timing for fast rebalances. Off where MSK's version refuses these keys."
  type        = bool
  default     = false
}
