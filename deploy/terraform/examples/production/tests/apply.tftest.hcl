# The whole of it is applied, on mocks: what the scripts read must be there, and what one
# module gives the next must be of the right kind.

mock_provider "aws" {
  source = "../../tests/mocks"
}

mock_provider "helm" {}

variables {
  region       = "eu-west-1"
  account_id   = "123456789012"
  budget_email = "me@example.com"
}

run "everything_comes_up" {
  assert {
    condition     = output.cluster_name == "trade-tx" && output.region == "eu-west-1" && output.account_id == "123456789012"
    error_message = "deploy-infra.sh points kubectl at this cluster"
  }
  # The shape that the scripts accept for KAFKA_BOOTSTRAP_SERVERS.
  assert {
    condition     = can(regex("^[^,:[:space:]]+:9098(,[^,:[:space:]]+:9098)*$", output.bootstrap_brokers))
    error_message = "deploy-infra.sh writes these brokers to .env"
  }
  assert {
    condition     = startswith(output.msk_arn, "arn:aws:kafka:") && startswith(output.grafana_secret_arn, "arn:aws:secretsmanager:")
    error_message = "the brokers' and the secret's ARN"
  }
  assert {
    condition     = toset(keys(output.role_arns)) == toset(["producer", "consumer", "scaler", "keda"])
    error_message = "a role for each identity"
  }
}

run "applied_again_it_changes_nothing_that_scripts_read" {
  assert {
    condition     = output.msk_arn == run.everything_comes_up.msk_arn && output.role_arns == run.everything_comes_up.role_arns
    error_message = "the same brokers and roles"
  }
}

run "a_malformed_account_is_refused" {
  command = plan
  variables { account_id = "12" }
  expect_failures = [var.account_id]
}
