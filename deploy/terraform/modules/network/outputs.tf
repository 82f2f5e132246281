output "vpc_id" {
  value = aws_vpc.this.id
}

output "vpc_cidr" {
  value = aws_vpc.this.cidr_block
}

output "private_subnet_ids" {
  value = aws_subnet.private[*].id
}

output "endpoints" {
  description = "AWS services that are reached inside the VPC."
  value       = sort(concat(["s3"], keys(aws_vpc_endpoint.interface)))
}
