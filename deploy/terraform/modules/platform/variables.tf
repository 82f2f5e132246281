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
}

variable "keda_chart_version" {
  description = "Version of the KEDA chart."
  type        = string
  default     = "2.18.3"
}

variable "monitoring_chart_version" {
  description = "Version of the kube-prometheus-stack chart."
  type        = string
  default     = "79.5.0"
}

variable "metrics_retention_days" {
  description = "How long metrics are kept, days."
  type        = number
  default     = 15
}

variable "metrics_storage_gib" {
  description = "Volume of Prometheus, GiB."
  type        = number
  default     = 50
}
