# The real provider with keys that are none: it renders and checks the policies in the
# plan, and asks nobody. scripts/terraform/policies.py judges the same policies.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

variables {
  name             = "trade-tx"
  account_id       = "123456789012"
  eks_cluster_name = "trade-tx"
  cluster_arn      = "arn:aws:kafka:eu-west-1:123456789012:cluster/trade-tx/99999999-8888-7777-6666-555555555555-1"
  topic_arn_prefix = "arn:aws:kafka:eu-west-1:123456789012:topic/trade-tx/99999999-8888-7777-6666-555555555555-1"
  group_arn_prefix = "arn:aws:kafka:eu-west-1:123456789012:group/trade-tx/99999999-8888-7777-6666-555555555555-1"
  topic            = "trade-tx"
  consumer_group   = "tx-trade-workers"
  namespace        = "trade-tx"
}

run "each_role_has_its_own_policy_and_no_wildcard" {
  command = plan
  assert {
    condition     = toset(keys(aws_iam_role_policy.this)) == toset(["producer", "consumer", "scaler", "keda"])
    error_message = "four identities"
  }
  assert {
    condition     = alltrue([for policy in aws_iam_role_policy.this : !strcontains(policy.policy, "*")])
    error_message = "no action and no resource by wildcard"
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.this : [
        for statement in jsondecode(policy.policy).Statement : [
          for action in statement.Action : startswith(action, "kafka-cluster:")
        ]
      ]
    ]))
    error_message = "nothing but Kafka"
  }
}

run "only_pod_identity_of_this_account_takes_the_roles" {
  command = plan
  assert {
    condition = alltrue([
      for role in aws_iam_role.this :
      jsondecode(role.assume_role_policy).Statement[0].Principal.Service == "pods.eks.amazonaws.com"
      && jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == var.account_id
    ])
    error_message = "trusts EKS Pod Identity in this account, nobody else"
  }
  assert {
    condition = { for name, association in aws_eks_pod_identity_association.this : name => "${association.namespace}/${association.service_account}" } == {
      producer = "trade-tx/producer-sa"
      consumer = "trade-tx/consumer-sa"
      scaler   = "trade-tx/scaler-sa"
      keda     = "keda/keda-operator"
    }
    error_message = "the service accounts that the chart and KEDA use"
  }
}

# The permission that the scaler gets for fencing was once KEDA's too.
run "fencing_is_the_scalers_alone" {
  command = plan
  variables { scaler_fences = true }
  assert {
    condition     = strcontains(aws_iam_role_policy.this["scaler"].policy, "kafka-cluster:AlterGroup")
    error_message = "the scaler may end a membership"
  }
  assert {
    condition     = !strcontains(aws_iam_role_policy.this["keda"].policy, "kafka-cluster:AlterGroup")
    error_message = "KEDA only describes"
  }
}

run "dead_letters_need_a_topic_of_their_own" {
  command = plan
  variables { dead_letter_topic = "trade-tx" }
  expect_failures = [var.dead_letter_topic]
}

run "the_consumer_logs_in_to_the_database" {
  command = plan
  variables { database_iam_arn = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-MOCK/tidegate" }
  assert {
    condition     = [for role, policy in aws_iam_role_policy.this : role if strcontains(policy.policy, "rds-db:connect")] == ["consumer"]
    error_message = "the consumer, and nobody else"
  }
}

run "wildcards_and_others_arns_are_refused_by_name" {
  command = plan
  variables {
    name             = "a b"
    account_id       = "12"
    cluster_arn      = "arn:aws:kafka:eu-west-1:123456789012:cluster/trade-tx/*"
    topic_arn_prefix = "arn:aws:kafka:eu-west-1:123456789012:topic/*/*"
    group_arn_prefix = "*"
    topic            = "*"
    consumer_group   = "tx-*"
    namespace        = "Trades"
    database_iam_arn = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:*/*"
  }
  expect_failures = [
    var.name, var.account_id, var.cluster_arn, var.topic_arn_prefix, var.group_arn_prefix, var.topic,
    var.consumer_group, var.namespace, var.database_iam_arn,
  ]
}
