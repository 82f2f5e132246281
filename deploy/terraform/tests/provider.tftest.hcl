# The plan of the real AWS provider, which checks values and combinations that a schema
# does not know: Auto Mode's parts, policy texts, enumerations. Its keys are none, and
# what it would have to ask is answered here.

provider "aws" {
  region                      = "eu-west-1"
  access_key                  = "none"
  secret_key                  = "none"
  skip_credentials_validation = true
  skip_metadata_api_check     = true
  skip_region_validation      = true
  skip_requesting_account_id  = true
}

mock_provider "helm" {}

override_data {
  target = data.aws_caller_identity.this
  values = { account_id = "123456789012" }
}

override_data {
  target = module.network.data.aws_availability_zones.available
  values = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
}

variables {
  admin_principal_arns = ["arn:aws:iam::123456789012:role/admin"]
  budget_email         = "me@example.com"
}

run "the_demo_can_be_planned" {
  command = plan
}

run "production_can_be_planned" {
  command = plan
  variables {
    production          = true
    zone_count          = 3
    nat                 = "per_zone"
    broker_count        = 3
    broker_class        = "kafka.m7g.xlarge"
    storage_gib         = 500
    replication_factor  = 3
    min_insync_replicas = 2
    partitions          = 240
    max_consumers       = 120
    database            = true
    scaler_fences       = true
    log_retention_days  = 365
    public_access_cidrs = ["203.0.113.7/32"]
  }
}
