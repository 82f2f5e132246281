# Which way traffic goes.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name        = "trade-tx"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/1"
}

run "two_zones_and_one_gateway" {
  assert {
    condition     = length(aws_subnet.public) == 2 && length(aws_subnet.private) == 2 && length(aws_nat_gateway.this) == 1
    error_message = "two zones, one NAT gateway"
  }
  assert {
    condition     = alltrue([for route in aws_route.nat : route.nat_gateway_id == aws_nat_gateway.this[0].id])
    error_message = "both zones leave by the one gateway"
  }
  assert {
    condition     = length(setunion(aws_subnet.public[*].cidr_block, aws_subnet.private[*].cidr_block)) == 4
    error_message = "each subnet has addresses of its own"
  }
  assert {
    condition     = aws_subnet.public[*].availability_zone == ["eu-west-1a", "eu-west-1b"] && aws_subnet.private[*].availability_zone == ["eu-west-1a", "eu-west-1b"]
    error_message = "a public and a private subnet in each zone"
  }
}

run "the_private_subnets_hold_the_most" {
  assert {
    condition     = aws_subnet.private[*].cidr_block == ["10.0.16.0/20", "10.0.32.0/20"] && aws_subnet.public[*].cidr_block == ["10.0.0.0/24", "10.0.1.0/24"]
    error_message = "4,096 addresses for pods in each zone, beside 256 public ones"
  }
}

run "a_gateway_in_each_of_three_zones" {
  variables {
    zone_count = 3
    nat        = "per_zone"
  }
  assert {
    condition     = length(aws_nat_gateway.this) == 3 && length(distinct(aws_route.nat[*].nat_gateway_id)) == 3
    error_message = "each zone leaves by its own gateway"
  }
}

run "aws_services_are_reached_inside" {
  assert {
    condition     = alltrue([for service in ["ecr.api", "ecr.dkr", "kafka", "sts", "s3", "logs", "eks-auth", "secretsmanager"] : contains(output.endpoints, service)])
    error_message = "MSK, ECR, STS, logs, Pod Identity, secrets and image layers stay in the VPC"
  }
  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "without private DNS clients would not find the endpoints"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.endpoints.cidr_ipv4 == var.cidr && aws_vpc_security_group_ingress_rule.endpoints.from_port == 443 && aws_vpc_security_group_ingress_rule.endpoints.to_port == 443
    error_message = "HTTPS from the VPC only"
  }
}

run "without_nat_nodes_still_find_what_makes_them_nodes" {
  variables { nat = "none" }
  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_eip.nat) == 0 && length(aws_route.nat) == 0
    error_message = "no gateway, no address, no route"
  }
  assert {
    condition     = alltrue([for service in ["ec2", "eks", "elasticloadbalancing"] : contains(output.endpoints, service)])
    error_message = "nodes need EC2, EKS and load balancing"
  }
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    cidr               = "10.0.0.0/24"
    zone_count         = 4
    nat                = "double"
    log_retention_days = 2
  }
  expect_failures = [var.cidr, var.zone_count, var.nat, var.log_retention_days]
}
