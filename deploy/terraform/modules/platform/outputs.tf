output "grafana_secret_arn" {
  description = "Secret with Grafana's user and password."
  value       = aws_secretsmanager_secret.grafana.arn
}
