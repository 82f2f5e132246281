variable "name" {
  description = "What names start with."
  type        = string
}

variable "kms_key_arn" {
  description = "Key that encrypts the secret."
  type        = string
}

variable "bootstrap_brokers" {
  description = "host:port list of the brokers whose exporters are scraped."
  type        = string
  validation {
    condition     = can(regex("^[^,:[:space:]]+:[0-9]+(,[^,:[:space:]]+:[0-9]+)*$", var.bootstrap_brokers))
    error_message = "bootstrap_brokers must be a host:port list, comma separated."
  }
}

variable "keda_chart_version" {
  description = "Version of the KEDA chart."
  type        = string
  default     = "2.18.3"
  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.keda_chart_version))
    error_message = "keda_chart_version must be one version, for example 2.18.3: a range would change the cluster by itself."
  }
}

variable "monitoring_chart_version" {
  description = "Version of the kube-prometheus-stack chart."
  type        = string
  default     = "79.5.0"
  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+\\.[0-9]+$", var.monitoring_chart_version))
    error_message = "monitoring_chart_version must be one version, for example 2.18.3: a range would change the cluster by itself."
  }
}

variable "metrics_retention_days" {
  description = "How long metrics are kept, days."
  type        = number
  default     = 15
  validation {
    condition     = var.metrics_retention_days >= 1
    error_message = "metrics_retention_days must be 1 or more."
  }
}

variable "metrics_storage_gib" {
  description = "Volume of Prometheus, GiB."
  type        = number
  default     = 50
  validation {
    condition     = var.metrics_storage_gib >= 1 && var.metrics_storage_gib <= 16384
    error_message = "metrics_storage_gib must be 1 to 16384 GiB."
  }
}
