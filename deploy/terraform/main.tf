# The whole of it: network, brokers, cluster, identities, KEDA and Prometheus, and where
# wanted a database and a budget. examples/ shows how it is used.

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}
data "aws_partition" "this" {}

resource "aws_kms_key" "this" {
  description             = "${var.name}: Kafka, Kubernetes secrets, logs, database"
  enable_key_rotation     = true
  deletion_window_in_days = 7
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Account"
        Effect    = "Allow"
        Action    = "kms:*"
        Resource  = "*"
        Principal = { AWS = "arn:${data.aws_partition.this.partition}:iam::${data.aws_caller_identity.this.account_id}:root" }
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Action    = ["kms:Encrypt", "kms:Decrypt", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:DescribeKey"]
        Resource  = "*"
        Principal = { Service = "logs.${data.aws_region.this.region}.amazonaws.com" }
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${data.aws_partition.this.partition}:logs:${data.aws_region.this.region}:${data.aws_caller_identity.this.account_id}:*" }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.id
}

module "network" {
  source             = "./modules/network"
  name               = var.name
  cidr               = var.cidr
  zone_count         = var.zone_count
  nat                = var.nat
  kms_key_arn        = aws_kms_key.this.arn
  log_retention_days = var.log_retention_days
}

module "eks" {
  source               = "./modules/eks"
  name                 = var.name
  kubernetes_version   = var.kubernetes_version
  subnet_ids           = module.network.private_subnet_ids
  kms_key_arn          = aws_kms_key.this.arn
  public_access_cidrs  = var.public_access_cidrs
  admin_principal_arns = var.admin_principal_arns
  log_retention_days   = var.log_retention_days
}

module "msk" {
  source                   = "./modules/msk"
  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnet_ids
  client_security_group_id = module.eks.security_group_id
  kms_key_arn              = aws_kms_key.this.arn
  kafka_version            = var.kafka_version
  broker_class             = var.broker_class
  broker_count             = var.broker_count
  storage_gib              = var.storage_gib
  topic                    = var.topic
  dead_letter_topic        = var.dead_letter_topic
  partitions               = var.partitions
  max_consumers            = var.max_consumers
  replication_factor       = var.replication_factor
  min_insync_replicas      = var.min_insync_replicas
  log_retention_days       = var.log_retention_days
}

module "access" {
  source            = "./modules/access"
  name              = var.name
  account_id        = data.aws_caller_identity.this.account_id
  eks_cluster_name  = module.eks.name
  cluster_arn       = module.msk.arn
  topic_arn_prefix  = module.msk.topic_arn_prefix
  group_arn_prefix  = module.msk.group_arn_prefix
  topic             = var.topic
  consumer_group    = var.consumer_group
  namespace         = var.namespace
  dead_letter_topic = var.dead_letter_topic
  scaler_fences     = var.scaler_fences
  database_iam_arn = !var.database ? "" : join(":", [
    "arn", data.aws_partition.this.partition, "rds-db", data.aws_region.this.region,
    data.aws_caller_identity.this.account_id, "dbuser", "${module.database[0].resource_id}/tidegate",
  ])
}

module "platform" {
  source            = "./modules/platform"
  name              = var.name
  kms_key_arn       = aws_kms_key.this.arn
  bootstrap_brokers = module.msk.bootstrap_brokers
  depends_on        = [module.eks, module.access]
}

module "database" {
  source                   = "./modules/database"
  count                    = var.database ? 1 : 0
  name                     = var.name
  vpc_id                   = module.network.vpc_id
  subnet_ids               = module.network.private_subnet_ids
  client_security_group_id = module.eks.security_group_id
  kms_key_arn              = aws_kms_key.this.arn
  instance_count           = var.production ? 2 : 1
  deletion_protection      = var.production
}

module "budget" {
  source      = "./modules/budget"
  count       = var.budget_email == "" ? 0 : 1
  name        = var.name
  monthly_usd = var.budget_monthly_usd
  email       = var.budget_email
}
