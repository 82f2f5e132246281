# How the modules are put together.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "helm" {}

variables {
  admin_principal_arns = ["arn:aws:iam::123456789012:role/admin"]
}

run "the_demos_size" {
  assert {
    condition     = output.bootstrap_brokers == "b-1.mock.example:9098,b-2.mock.example:9098"
    error_message = "the brokers of the MSK module"
  }
  assert {
    condition     = output.database_endpoint == "" && length(module.database) == 0 && length(module.budget) == 0
    error_message = "no database, no budget unless asked for"
  }
  assert {
    condition     = jsondecode(module.access.policies.consumer).Statement[1].Resource == ["arn:aws:kafka:eu-west-1:123456789012:topic/mock/99999999-8888-7777-6666-555555555555-1/trade-tx"]
    error_message = "the topic of this cluster"
  }
  assert {
    condition     = jsondecode(module.access.policies.consumer).Statement[2].Resource == ["arn:aws:kafka:eu-west-1:123456789012:group/mock/99999999-8888-7777-6666-555555555555-1/tx-trade-workers"]
    error_message = "the group of this cluster"
  }
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && jsondecode(aws_kms_key.this.policy).Statement[1].Principal.Service == "logs.eu-west-1.amazonaws.com"
    error_message = "one key, rotated, that the logs of this region may use"
  }
}

run "with_database_budget_and_other_names" {
  variables {
    name           = "orders"
    topic          = "orders"
    consumer_group = "orders-workers"
    namespace      = "orders"
    database       = true
    budget_email   = "me@example.com"
    scaler_fences  = true
  }
  assert {
    condition     = output.cluster_name == "orders" && output.database_endpoint == "mock.cluster.example" && length(module.budget) == 1
    error_message = "database and budget are made"
  }
  assert {
    condition     = strcontains(module.access.policies.consumer, "arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-MOCK/tidegate")
    error_message = "the consumer logs in as one user of this database"
  }
  assert {
    condition     = endswith(jsondecode(module.access.policies.producer).Statement[1].Resource[0], "/orders") && strcontains(module.access.policies.scaler, "AlterGroup") && !strcontains(module.access.policies.keda, "AlterGroup")
    error_message = "the names and the fencing reach the policies"
  }
}

run "production_on_one_gateway_is_refused" {
  command = plan
  variables {
    production          = true
    zone_count          = 3
    broker_count        = 3
    replication_factor  = 3
    min_insync_replicas = 2
  }
  expect_failures = [var.production]
}

run "production_with_one_acknowledged_copy_is_refused" {
  command = plan
  variables {
    production   = true
    zone_count   = 3
    nat          = "per_zone"
    broker_count = 3
  }
  expect_failures = [var.production]
}

run "a_malformed_name_is_refused" {
  command = plan
  variables { name = "Trade TX" }
  expect_failures = [var.name]
}
