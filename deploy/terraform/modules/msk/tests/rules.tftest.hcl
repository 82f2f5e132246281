# Rules of ours that no provider checks, and what the broker is told.

mock_provider "aws" {
  source = "../../tests/mocks"
}

variables {
  name                     = "trade-tx"
  vpc_id                   = "vpc-1"
  subnet_ids               = ["subnet-1", "subnet-2", "subnet-3"]
  client_security_group_id = "sg-1"
  kms_key_arn              = "arn:aws:kms:eu-west-1:123456789012:key/1"
  topic                    = "trade-tx"
  max_consumers            = 100
}

run "only_iam_over_tls_with_a_key_of_its_own" {
  assert {
    condition     = aws_msk_cluster.this.client_authentication[0].sasl[0].iam && !aws_msk_cluster.this.client_authentication[0].unauthenticated
    error_message = "clients must log in by IAM"
  }
  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && aws_msk_cluster.this.encryption_info[0].encryption_in_transit[0].in_cluster
    error_message = "nothing may travel in the clear"
  }
  assert {
    condition     = aws_msk_cluster.this.encryption_info[0].encryption_at_rest_kms_key_arn == var.kms_key_arn
    error_message = "volumes must be encrypted with the given key"
  }
  assert {
    condition     = aws_msk_cluster.this.logging_info[0].broker_logs[0].cloudwatch_logs[0].enabled
    error_message = "broker logs must be kept"
  }
}

run "monitoring_is_open_to_the_nodes" {
  assert {
    condition     = aws_msk_cluster.this.open_monitoring[0].prometheus[0].jmx_exporter[0].enabled_in_broker && aws_msk_cluster.this.open_monitoring[0].prometheus[0].node_exporter[0].enabled_in_broker
    error_message = "both exporters must be on"
  }
  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.clients : rule.from_port]) == toset([9098, 11001, 11002])
    error_message = "the nodes reach IAM's port and the two exporters, nothing else"
  }
  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.clients : rule.referenced_security_group_id == var.client_security_group_id])
    error_message = "only the nodes reach the brokers"
  }
}

run "volumes_grow_by_themselves" {
  variables { storage_max_gib = 2000 }
  assert {
    condition     = aws_appautoscaling_target.storage.max_capacity == 2000 && aws_appautoscaling_target.storage.scalable_dimension == "kafka:broker-storage:VolumeSize"
    error_message = "a volume must grow up to storage_max_gib"
  }
  assert {
    condition     = aws_appautoscaling_policy.storage.target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "KafkaBrokerStorageUtilization"
    error_message = "a volume must grow with what it holds"
  }
}

run "a_lost_broker_loses_nothing" {
  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "min.insync.replicas=2") && strcontains(aws_msk_configuration.this.server_properties, "default.replication.factor=3")
    error_message = "three copies, two acknowledged"
  }
  assert {
    condition     = strcontains(aws_msk_configuration.this.server_properties, "unclean.leader.election.enable=false") && strcontains(aws_msk_configuration.this.server_properties, "auto.create.topics.enable=false")
    error_message = "no unclean leader, no topic by accident"
  }
  assert {
    condition     = aws_msk_topic.this.replication_factor == 3 && aws_msk_topic.this.partition_count == 120
    error_message = "the topic has the partitions and copies that were asked for"
  }
}

run "min_isr_of_all_copies_is_refused" {
  command = plan
  variables { min_insync_replicas = 3 }
  expect_failures = [aws_msk_configuration.this]
}

run "more_copies_than_brokers_are_refused" {
  command = plan
  variables { replication_factor = 4 }
  expect_failures = [aws_msk_configuration.this]
}

run "brokers_must_fill_the_zones" {
  command = plan
  variables { broker_count = 4 }
  expect_failures = [aws_msk_cluster.this]
}

run "pods_beyond_the_partitions_are_refused" {
  command = plan
  variables { partitions = 99 }
  expect_failures = [aws_msk_topic.this]
}

run "bad_values_are_refused_by_name" {
  command = plan
  variables {
    kafka_version      = "latest"
    broker_class       = "m7g.large"
    broker_count       = 0
    storage_gib        = 0
    topic              = "a/b"
    partitions         = 0
    retention_hours    = 0
    log_retention_days = 31
  }
  expect_failures = [
    var.kafka_version, var.broker_class, var.broker_count, var.storage_gib, var.topic,
    var.partitions, var.retention_hours, var.log_retention_days,
  ]
}

run "a_volume_that_may_not_grow_to_its_first_size_is_refused" {
  command = plan
  variables {
    storage_gib     = 500
    storage_max_gib = 499
  }
  expect_failures = [var.storage_max_gib]
}

run "one_copy_is_refused" {
  command = plan
  variables {
    replication_factor  = 1
    min_insync_replicas = 0
    subnet_ids          = ["subnet-1"]
    max_consumers       = 0
  }
  expect_failures = [var.replication_factor, var.min_insync_replicas, var.subnet_ids, var.max_consumers]
}
