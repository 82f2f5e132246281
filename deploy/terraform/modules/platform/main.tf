# What runs in the cluster beside tidegate: KEDA, Prometheus and Grafana, a storage
# class, scraping of the brokers.

resource "helm_release" "keda" {
  name             = "keda"
  namespace        = "keda"
  create_namespace = true
  repository       = "https://kedacore.github.io/charts"
  chart            = "keda"
  version          = var.keda_chart_version
  atomic           = true
  timeout          = 600
  values = [yamlencode({
    # A second operator takes over at once; both would otherwise read Kafka.
    operator      = { replicaCount = 2 }
    metricsServer = { replicaCount = 2 }
    podIdentity   = { aws = { irsa = { enabled = false } } }
  })]
}

# No default password: made here, kept in Secrets Manager.
resource "random_password" "grafana" {
  length  = 24
  special = false
}

resource "aws_secretsmanager_secret" "grafana" {
  name_prefix             = "${var.name}-grafana-"
  description             = "Grafana's admin password"
  kms_key_id              = var.kms_key_arn
  recovery_window_in_days = 7
}

resource "aws_secretsmanager_secret_version" "grafana" {
  secret_id     = aws_secretsmanager_secret.grafana.id
  secret_string = jsonencode({ username = "admin", password = random_password.grafana.result })
}

resource "helm_release" "monitoring" {
  name             = "monitoring"
  namespace        = "monitoring"
  create_namespace = true
  repository       = "https://prometheus-community.github.io/helm-charts"
  chart            = "kube-prometheus-stack"
  version          = var.monitoring_chart_version
  atomic           = true
  timeout          = 900
  values = [yamlencode({
    grafana = {
      sidecar = { dashboards = { enabled = true, searchNamespace = "ALL" } }
      "grafana.ini" = {
        "auth.anonymous" = { enabled = false }
        users            = { allow_sign_up = false }
      }
    }
    prometheus = {
      prometheusSpec = {
        retention = "${var.metrics_retention_days}d"
        # Monitors of every namespace, whatever their labels.
        serviceMonitorSelectorNilUsesHelmValues = false
        ruleSelectorNilUsesHelmValues           = false
        scrapeConfigSelectorNilUsesHelmValues   = false
        # Its volume goes with it; otherwise each teardown would leave one that costs.
        persistentVolumeClaimRetentionPolicy = { whenDeleted = "Delete", whenScaled = "Retain" }
        storageSpec = {
          volumeClaimTemplate = {
            spec = {
              storageClassName = "gp3"
              accessModes      = ["ReadWriteOnce"]
              resources        = { requests = { storage = "${var.metrics_storage_gib}Gi" } }
            }
          }
        }
      }
    }
  })]
  set_sensitive = [{ name = "grafana.adminPassword", value = random_password.grafana.result }]
  depends_on    = [helm_release.storage]
}

resource "helm_release" "storage" {
  name      = "storage"
  namespace = "kube-system"
  chart     = "${path.module}/charts/storage"
}

# JMX and node exporters of the brokers, found by their DNS names.
resource "helm_release" "brokers" {
  name      = "broker-metrics"
  namespace = "monitoring"
  chart     = "${path.module}/charts/broker-metrics"
  values = [yamlencode({
    hosts = [for address in split(",", var.bootstrap_brokers) : split(":", address)[0]]
  })]
  depends_on = [helm_release.monitoring]
}
