# The real `random` makes the password; AWS and Helm are mocks.

mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "helm" {}

variables {
  name              = "trade-tx"
  kms_key_arn       = "arn:aws:kms:eu-west-1:123456789012:key/1"
  bootstrap_brokers = "b-1.mock.example:9098,b-2.mock.example:9098"
}

run "grafanas_password_is_made_and_kept_in_secrets_manager" {
  assert {
    condition     = length(random_password.grafana.result) == 24
    error_message = "24 characters"
  }
  assert {
    condition     = jsondecode(aws_secretsmanager_secret_version.grafana.secret_string).password == random_password.grafana.result
    error_message = "the secret holds the password that was made"
  }
  assert {
    condition     = one([for set in helm_release.monitoring.set_sensitive : set.value if set.name == "grafana.adminPassword"]) == random_password.grafana.result
    error_message = "Grafana is given the password that was made"
  }
  assert {
    condition     = !strcontains(helm_release.monitoring.values[0], random_password.grafana.result)
    error_message = "the password must not stand in values, which are shown"
  }
  assert {
    condition     = aws_secretsmanager_secret.grafana.kms_key_id == var.kms_key_arn
    error_message = "the secret is encrypted with the given key"
  }
}

run "every_broker_is_scraped" {
  assert {
    condition     = yamldecode(helm_release.brokers.values[0]).hosts == ["b-1.mock.example", "b-2.mock.example"]
    error_message = "hosts without the clients' port"
  }
}

run "prometheus_reads_every_namespaces_monitors_on_gp3" {
  assert {
    condition = alltrue([
      for selector in ["serviceMonitor", "rule", "scrapeConfig"] :
      yamldecode(helm_release.monitoring.values[0]).prometheus.prometheusSpec["${selector}SelectorNilUsesHelmValues"] == false
    ])
    error_message = "monitors, rules and scrape configs of every namespace"
  }
  assert {
    condition     = yamldecode(helm_release.monitoring.values[0]).prometheus.prometheusSpec.storageSpec.volumeClaimTemplate.spec.storageClassName == "gp3"
    error_message = "metrics lie on the class that this module makes"
  }
}

run "charts_are_pinned" {
  assert {
    condition     = helm_release.keda.version == var.keda_chart_version && helm_release.monitoring.version == var.monitoring_chart_version
    error_message = "one version each"
  }
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    bootstrap_brokers        = "b-1.mock.example"
    keda_chart_version       = "~> 2.18"
    monitoring_chart_version = "latest"
    metrics_retention_days   = 0
    metrics_storage_gib      = 0
  }
  expect_failures = [
    var.bootstrap_brokers, var.keda_chart_version, var.monitoring_chart_version, var.metrics_retention_days,
    var.metrics_storage_gib,
  ]
}
