# Plans the roles as they may be set, without an account, for scripts/terraform/policies.py.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.47, < 7.0"
    }
  }
}

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

locals {
  kafka = "arn:aws:kafka:eu-west-1:123456789012"
  msk   = "trade-tx/99999999-8888-7777-6666-555555555555-1"
}

module "access" {
  source = "../.."
  for_each = {
    default  = { fences = false, letters = "", database = "" }
    fencing  = { fences = true, letters = "", database = "" }
    letters  = { fences = false, letters = "trade-tx-dead", database = "" }
    database = { fences = false, letters = "", database = "arn:aws:rds-db:eu-west-1:123456789012:dbuser:cluster-OWN/tidegate" }
  }

  name              = "trade-tx"
  account_id        = "123456789012"
  eks_cluster_name  = "trade-tx"
  cluster_arn       = "${local.kafka}:cluster/${local.msk}"
  topic_arn_prefix  = "${local.kafka}:topic/${local.msk}"
  group_arn_prefix  = "${local.kafka}:group/${local.msk}"
  topic             = "trade-tx"
  consumer_group    = "tx-trade-workers"
  namespace         = "trade-tx"
  dead_letter_topic = each.value.letters
  scaler_fences     = each.value.fences
  database_iam_arn  = each.value.database
}
