output "cluster_name" {
  value = module.tidegate.cluster_name
}

output "bootstrap_brokers" {
  value = module.tidegate.bootstrap_brokers
}

output "msk_arn" {
  value = module.tidegate.msk_arn
}

output "role_arns" {
  value = module.tidegate.role_arns
}

output "grafana_secret_arn" {
  value = module.tidegate.grafana_secret_arn
}

output "region" {
  value = var.region
}

output "account_id" {
  value = var.account_id
}
