output "cluster_name" {
  description = "For aws eks update-kubeconfig."
  value       = module.eks.name
}

output "cluster_endpoint" {
  value = module.eks.endpoint
}

output "cluster_certificate_authority" {
  value = module.eks.certificate_authority
}

output "bootstrap_brokers" {
  description = "KAFKA_BOOTSTRAP_SERVERS."
  value       = module.msk.bootstrap_brokers
}

output "msk_arn" {
  value = module.msk.arn
}

output "role_arns" {
  description = "Roles of producer, consumer, scaler and KEDA."
  value       = module.access.role_arns
}

output "grafana_secret_arn" {
  description = "Secret with Grafana's user and password."
  value       = module.platform.grafana_secret_arn
}

output "database_endpoint" {
  value = var.database ? module.database[0].endpoint : ""
}

output "database_password_secret_arn" {
  value = var.database ? module.database[0].password_secret_arn : ""
}
