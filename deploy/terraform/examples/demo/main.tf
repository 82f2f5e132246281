# The published demo's size, two brokers and one NAT gateway: for a day, not for money.

terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.47, < 7.0"
    }
    helm = {
      source  = "hashicorp/helm"
      version = ">= 3.0, < 4.0"
    }
  }
  # State that is shared and locked: copy backend.tf.example to backend.tf.
}

locals {
  # Name of everything, and the tag that the budget counts.
  name = "trade-tx"
}

provider "aws" {
  region              = var.region
  allowed_account_ids = [var.account_id]
  default_tags {
    tags = {
      Project   = local.name
      ManagedBy = "terraform"
    }
  }
}

provider "helm" {
  kubernetes = {
    host                   = module.tidegate.cluster_endpoint
    cluster_ca_certificate = base64decode(module.tidegate.cluster_certificate_authority)
    exec = {
      api_version = "client.authentication.k8s.io/v1"
      command     = "aws"
      args        = ["eks", "get-token", "--region", var.region, "--cluster-name", module.tidegate.cluster_name]
    }
  }
}

data "aws_caller_identity" "this" {}

data "aws_iam_session_context" "this" {
  arn = data.aws_caller_identity.this.arn
}

module "tidegate" {
  source = "../.."

  name                 = local.name
  admin_principal_arns = [data.aws_iam_session_context.this.issuer_arn]
  public_access_cidrs  = var.public_access_cidrs
  topic                = var.topic
  consumer_group       = var.consumer_group
  namespace            = var.namespace
  budget_email         = var.budget_email
}
