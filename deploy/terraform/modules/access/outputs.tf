output "policies" {
  description = "Policy of each role, JSON."
  value       = local.policies
}

output "role_arns" {
  description = "Role of each identity."
  value       = { for name, role in aws_iam_role.this : name => role.arn }
}
