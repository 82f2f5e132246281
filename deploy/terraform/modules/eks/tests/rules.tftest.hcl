# What AWS refuses only when the cluster is made, and who may reach it.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                 = "trade-tx"
  subnet_ids           = ["subnet-1", "subnet-2"]
  kms_key_arn          = "arn:aws:kms:eu-west-1:123456789012:key/1"
  admin_principal_arns = ["arn:aws:iam::123456789012:role/admin"]
}

run "auto_mode_has_its_three_parts_together" {
  assert {
    condition     = aws_eks_cluster.this.compute_config[0].enabled && aws_eks_cluster.this.kubernetes_network_config[0].elastic_load_balancing[0].enabled && aws_eks_cluster.this.storage_config[0].block_storage[0].enabled
    error_message = "Auto Mode needs compute, load balancing and block storage"
  }
  assert {
    condition     = toset(aws_eks_cluster.this.compute_config[0].node_pools) == toset(["general-purpose", "system"])
    error_message = "both node pools"
  }
  assert {
    condition     = !aws_eks_cluster.this.bootstrap_self_managed_addons
    error_message = "Auto Mode brings its own add-ons"
  }
  assert {
    condition     = length(aws_iam_role_policy_attachment.cluster) == 5 && length(aws_iam_role_policy_attachment.node) == 2
    error_message = "Auto Mode needs five policies on the cluster's role and two on the nodes'"
  }
}

run "secrets_are_encrypted_and_logs_kept" {
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.kms_key_arn && contains(aws_eks_cluster.this.encryption_config[0].resources, "secrets")
    error_message = "secrets must be encrypted with the given key"
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5 && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "all five logs, and an end to them"
  }
}

run "the_api_is_private_unless_somebody_is_named" {
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "from the VPC only"
  }
}

run "somebody_named_reaches_the_api" {
  variables { public_access_cidrs = ["203.0.113.7/32"] }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && aws_eks_cluster.this.vpc_config[0].public_access_cidrs == toset(["203.0.113.7/32"])
    error_message = "for the named address only"
  }
}

run "administrators_have_an_entry" {
  assert {
    condition     = aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "access by entries only"
  }
  assert {
    condition     = toset([for entry in aws_eks_access_policy_association.admin : entry.principal_arn]) == toset(var.admin_principal_arns)
    error_message = "each administrator has the policy"
  }
}

run "the_whole_internet_is_refused" {
  command = plan
  variables { public_access_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.public_access_cidrs]
}

run "half_of_the_internet_is_refused" {
  command = plan
  variables { public_access_cidrs = ["128.0.0.0/1", "0.0.0.0/1"] }
  expect_failures = [var.public_access_cidrs]
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    name                 = "a b"
    kubernetes_version   = "v1.35"
    subnet_ids           = ["subnet-1"]
    admin_principal_arns = []
    log_retention_days   = 0
  }
  expect_failures = [
    var.name, var.kubernetes_version, var.subnet_ids, var.admin_principal_arns, var.log_retention_days,
  ]
}
