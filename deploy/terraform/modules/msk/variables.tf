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
  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "subnet_ids must be 2 or more: brokers in one zone fall together."
  }
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
  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.(x|[0-9]+)(\\.kraft)?$", var.kafka_version))
    error_message = "kafka_version must look like 4.1.x.kraft or 3.9.x."
  }
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
  validation {
    condition     = var.storage_gib >= 1 && var.storage_gib <= 16384
    error_message = "storage_gib must be 1 to 16384 GiB."
  }
}

variable "storage_max_gib" {
  description = "Size up to which a volume may grow by itself, GiB."
  type        = number
  default     = 1000
  validation {
    condition     = var.storage_max_gib >= var.storage_gib && var.storage_max_gib <= 16384
    error_message = "storage_max_gib must be storage_gib to 16384 GiB."
  }
}

variable "topic" {
  description = "Topic of the records."
  type        = string
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{1,249}$", var.topic))
    error_message = "topic must be 1 to 249 letters, digits, dots, underscores and dashes."
  }
}

variable "dead_letter_topic" {
  description = "Topic of dead letters; empty: none is made."
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^[A-Za-z0-9._-]{0,249}$", var.dead_letter_topic))
    error_message = "dead_letter_topic must be at most 249 letters, digits, dots, underscores and dashes."
  }
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
  validation {
    condition     = var.max_consumers >= 1
    error_message = "max_consumers must be 1 or more."
  }
}

variable "replication_factor" {
  description = "Copies of each partition."
  type        = number
  default     = 3
  validation {
    condition     = var.replication_factor >= 2 && floor(var.replication_factor) == var.replication_factor
    error_message = "replication_factor must be 2 or more: one copy does not survive a broker."
  }
}

variable "min_insync_replicas" {
  description = "Copies that must have a record before it is acknowledged; below replication_factor, so that a broker may be lost."
  type        = number
  default     = 2
  validation {
    condition     = var.min_insync_replicas >= 1
    error_message = "min_insync_replicas must be 1 or more."
  }
}

variable "retention_hours" {
  description = "How long records are kept, hours."
  type        = number
  default     = 168
  validation {
    condition     = var.retention_hours >= 1
    error_message = "retention_hours must be 1 or more."
  }
}

variable "log_retention_days" {
  description = "How long broker logs are kept, days."
  type        = number
  default     = 30
  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 3653], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch has: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827 or 3653."
  }
}

variable "tune_consumer_groups" {
  description = "Set the broker's group.consumer.* timing for fast rebalances. Off where MSK's version refuses these keys."
  type        = bool
  default     = false
}
