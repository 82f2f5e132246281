# Who may do what with Kafka, by EKS Pod Identity. Takes ARNs, so that the policies can
# be rendered and judged without an account (tests/).

locals {
  topic = "${var.topic_arn_prefix}/${var.topic}"
  group = "${var.group_arn_prefix}/${var.consumer_group}"

  connect = { sid = "Connect", actions = ["kafka-cluster:Connect"], resources = [var.cluster_arn] }

  statements = {
    # Writes its topic, idempotently. May not read, create or delete.
    producer = [
      local.connect,
      { sid = "WriteTopic", actions = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], resources = [local.topic] },
      { sid = "Idempotence", actions = ["kafka-cluster:WriteDataIdempotently"], resources = [var.cluster_arn] },
    ]
    # Reads its topic in its group. May write dead letters, where they have a topic, and nothing else.
    consumer = concat([
      local.connect,
      { sid = "ReadTopic", actions = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"], resources = [local.topic] },
      { sid = "Group", actions = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"], resources = [local.group] },
    ], local.consumer_letters, local.consumer_database)
    # KEDA and tidegate's scaler look at offsets and nothing else.
    scaler = concat(local.look, local.scaler_extra)
    keda   = local.look
  }

  look = [
    local.connect,
    { sid = "DescribeTopic", actions = ["kafka-cluster:DescribeTopic"], resources = [local.topic] },
    { sid = "DescribeGroup", actions = ["kafka-cluster:DescribeGroup"], resources = [local.group] },
  ]

  identities = {
    producer = { namespace = var.namespace, service_account = "producer-sa" }
    consumer = { namespace = var.namespace, service_account = "consumer-sa" }
    scaler   = { namespace = var.namespace, service_account = "scaler-sa" }
    keda     = { namespace = "keda", service_account = "keda-operator" }
  }

  # Fencing a dead pod ends its membership, which is a change of the group. Never KEDA's.
  scaler_extra = var.scaler_fences ? [
    { sid = "FenceMembers", actions = ["kafka-cluster:AlterGroup"], resources = [local.group] },
  ] : []
  consumer_letters = var.dead_letter_topic == "" ? [] : [
    { sid = "WriteDeadLetters", actions = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], resources = ["${var.topic_arn_prefix}/${var.dead_letter_topic}"] },
    { sid = "Idempotence", actions = ["kafka-cluster:WriteDataIdempotently"], resources = [var.cluster_arn] },
  ]
  consumer_database = var.database_iam_arn == "" ? [] : [
    { sid = "Database", actions = ["rds-db:connect"], resources = [var.database_iam_arn] },
  ]

  policies = {
    for role, statements in local.statements : role => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for statement in statements : {
          Sid      = statement.sid
          Effect   = "Allow"
          Action   = statement.actions
          Resource = statement.resources
        }
      ]
    })
  }
}

resource "aws_iam_role" "this" {
  for_each             = local.identities
  name                 = "${var.name}-${each.key}"
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Principal = { Service = "pods.eks.amazonaws.com" }
      Condition = { StringEquals = { "aws:SourceAccount" = var.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  for_each = local.identities
  name     = "kafka"
  role     = aws_iam_role.this[each.key].id
  policy   = local.policies[each.key]
}

resource "aws_eks_pod_identity_association" "this" {
  for_each        = local.identities
  cluster_name    = var.eks_cluster_name
  namespace       = each.value.namespace
  service_account = each.value.service_account
  role_arn        = aws_iam_role.this[each.key].arn
}
