# What the AWS provider would have answered, in the shape that others check: ARNs, and
# lists that are read by index.

mock_data "aws_availability_zones" {
  defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
}

mock_data "aws_region" {
  defaults = { region = "eu-west-1" }
}

mock_data "aws_partition" {
  defaults = { partition = "aws" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012", arn = "arn:aws:sts::123456789012:assumed-role/admin/me" }
}

mock_data "aws_iam_session_context" {
  defaults = { issuer_arn = "arn:aws:iam::123456789012:role/admin" }
}

mock_resource "aws_kms_key" {
  defaults = { arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
}

mock_resource "aws_iam_role" {
  defaults = { arn = "arn:aws:iam::123456789012:role/mock" }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = { arn = "arn:aws:logs:eu-west-1:123456789012:log-group:mock" }
}

mock_resource "aws_msk_configuration" {
  defaults = {
    arn             = "arn:aws:kafka:eu-west-1:123456789012:configuration/mock/99999999-8888-7777-6666-555555555555-1"
    latest_revision = 1
  }
}

mock_resource "aws_msk_cluster" {
  defaults = {
    arn                        = "arn:aws:kafka:eu-west-1:123456789012:cluster/mock/99999999-8888-7777-6666-555555555555-1"
    bootstrap_brokers_sasl_iam = "b-1.mock.example:9098,b-2.mock.example:9098"
  }
}

mock_resource "aws_eks_cluster" {
  defaults = {
    endpoint              = "https://mock.example"
    certificate_authority = [{ data = "bW9jaw==" }]
  }
}

mock_resource "aws_rds_cluster" {
  defaults = {
    arn                 = "arn:aws:rds:eu-west-1:123456789012:cluster:mock"
    cluster_resource_id = "cluster-MOCK"
    endpoint            = "mock.cluster.example"
    master_user_secret = [{
      secret_arn    = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds-mock"
      secret_status = "active"
      kms_key_id    = "mock"
    }]
  }
}

mock_resource "aws_secretsmanager_secret" {
  defaults = { arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:mock" }
}
