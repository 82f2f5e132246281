mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                     = "trade-tx"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2"]
  client_security_group_id = "sg-1"
  kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/1"
}

run "encrypted_and_reached_by_iam_over_tls" {
  assert {
    condition     = aws_rds_cluster.this.storage_encrypted && aws_rds_cluster.this.kms_key_id == var.kms_key_arn && aws_rds_cluster.this.iam_database_authentication_enabled
    error_message = "encrypted with the given key, login by IAM"
  }
  assert {
    condition     = aws_rds_cluster.this.manage_master_user_password && aws_rds_cluster.this.master_password == null
    error_message = "the password is made and kept by AWS"
  }
  assert {
    condition     = contains([for parameter in aws_rds_cluster_parameter_group.this.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1")
    error_message = "TLS is forced"
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.clients.referenced_security_group_id == var.client_security_group_id && aws_vpc_security_group_ingress_rule.clients.from_port == 5432
    error_message = "only the nodes reach it"
  }
  assert {
    condition     = aws_rds_cluster_parameter_group.this.family == "aurora-postgresql17"
    error_message = "the parameters are of the engine's version"
  }
}

run "it_is_not_destroyed_by_mistake" {
  assert {
    condition     = aws_rds_cluster.this.deletion_protection && !aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.backup_retention_period == 7
    error_message = "protected, with a last snapshot and backups of a week"
  }
}

run "a_demonstration_may_go" {
  variables { deletion_protection = false }
  assert {
    condition     = aws_rds_cluster.this.skip_final_snapshot && aws_rds_cluster.this.final_snapshot_identifier == null
    error_message = "no snapshot stays behind"
  }
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    subnet_ids     = ["subnet-1"]
    engine_version = "seventeen"
    database       = "Trades"
    max_capacity   = 300
    instance_count = 0
    backup_days    = 36
  }
  expect_failures = [
    var.subnet_ids, var.engine_version, var.database, var.max_capacity, var.instance_count,
    var.backup_days,
  ]
}

run "a_capacity_between_two_steps_is_refused" {
  command = plan
  variables { min_capacity = 0.3 }
  expect_failures = [var.min_capacity]
}
