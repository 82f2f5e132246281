output "name" {
  value = aws_eks_cluster.this.name
}

output "endpoint" {
  value = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "The API server's CA, base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "security_group_id" {
  description = "Security group of the nodes."
  value       = aws_eks_cluster.this.vpc_config[0].cluster_security_group_id
}
