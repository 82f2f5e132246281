output "arn" {
  value = aws_msk_cluster.this.arn
}

output "bootstrap_brokers" {
  description = "Brokers that take IAM over TLS, host:9098."
  value       = aws_msk_cluster.this.bootstrap_brokers_sasl_iam
}

output "topic_arn_prefix" {
  description = "ARN of a topic without /TOPIC."
  value       = local.topic_prefix
}

output "group_arn_prefix" {
  description = "ARN of a group without /GROUP."
  value       = local.group_prefix
}

output "security_group_id" {
  value = aws_security_group.this.id
}
