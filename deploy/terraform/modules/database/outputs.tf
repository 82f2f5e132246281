output "endpoint" {
  value = aws_rds_cluster.this.endpoint
}

output "password_secret_arn" {
  description = "Secret with the master password."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}

output "resource_id" {
  description = "Part of the ARN that rds-db:connect takes."
  value       = aws_rds_cluster.this.cluster_resource_id
}
