# Kafka on MSK: IAM over TLS and nothing else, encrypted with a key of its own.

locals {
  # arn:...:cluster/NAME/UUID -> arn:...:topic/NAME/UUID
  topic_prefix = replace(aws_msk_cluster.this.arn, ":cluster/", ":topic/")
  group_prefix = replace(aws_msk_cluster.this.arn, ":cluster/", ":group/")
}

resource "aws_security_group" "this" {
  name_prefix = "${var.name}-msk-"
  description = "Brokers"
  vpc_id      = var.vpc_id
  lifecycle { create_before_destroy = true }
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = { "9098" = "IAM clients", "11001" = "JMX exporter", "11002" = "node exporter" }
  security_group_id            = aws_security_group.this.id
  description                  = each.value
  referenced_security_group_id = var.client_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = tonumber(each.key)
  to_port                      = tonumber(each.key)
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/msk/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_msk_configuration" "this" {
  name           = var.name
  kafka_versions = [var.kafka_version]
  server_properties = join("\n", [for key, value in {
    "auto.create.topics.enable"      = false
    "default.replication.factor"     = var.replication_factor
    "min.insync.replicas"            = var.min_insync_replicas
    "num.partitions"                 = var.partitions
    "unclean.leader.election.enable" = false
    "log.retention.hours"            = var.retention_hours
    # KIP-848 groups: partitions of a pod that comes or goes move within a second.
    "group.consumer.heartbeat.interval.ms"     = 500
    "group.consumer.min.heartbeat.interval.ms" = 500
    } : "${key}=${value}" if !startswith(key, "group.consumer.") || var.tune_consumer_groups
  ])

  lifecycle {
    create_before_destroy = true
    precondition {
      condition     = var.replication_factor <= var.broker_count
      error_message = "replication_factor (${var.replication_factor}) is more than broker_count (${var.broker_count})."
    }
    precondition {
      condition     = var.min_insync_replicas < var.replication_factor
      error_message = "min_insync_replicas (${var.min_insync_replicas}) must be below replication_factor (${var.replication_factor}): otherwise the loss of one broker stops every write."
    }
  }
}

resource "aws_msk_cluster" "this" {
  cluster_name           = var.name
  kafka_version          = var.kafka_version
  number_of_broker_nodes = var.broker_count

  broker_node_group_info {
    instance_type   = var.broker_class
    client_subnets  = var.subnet_ids
    security_groups = [aws_security_group.this.id]
    storage_info {
      ebs_storage_info {
        volume_size = var.storage_gib
      }
    }
  }

  client_authentication {
    unauthenticated = false
    sasl {
      iam = true
    }
  }

  encryption_info {
    encryption_at_rest_kms_key_arn = var.kms_key_arn
    encryption_in_transit {
      client_broker = "TLS"
      in_cluster    = true
    }
  }

  configuration_info {
    arn      = aws_msk_configuration.this.arn
    revision = aws_msk_configuration.this.latest_revision
  }

  open_monitoring {
    prometheus {
      jmx_exporter {
        enabled_in_broker = true
      }
      node_exporter {
        enabled_in_broker = true
      }
    }
  }

  logging_info {
    broker_logs {
      cloudwatch_logs {
        enabled   = true
        log_group = aws_cloudwatch_log_group.this.name
      }
    }
  }

  lifecycle {
    # Storage grows by itself, below.
    ignore_changes = [broker_node_group_info[0].storage_info[0].ebs_storage_info[0].volume_size]
    precondition {
      condition     = var.broker_count % length(var.subnet_ids) == 0
      error_message = "broker_count (${var.broker_count}) must be a multiple of the number of subnets (${length(var.subnet_ids)})."
    }
  }
}

resource "aws_appautoscaling_target" "storage" {
  service_namespace  = "kafka"
  scalable_dimension = "kafka:broker-storage:VolumeSize"
  resource_id        = aws_msk_cluster.this.arn
  min_capacity       = 1
  max_capacity       = var.storage_max_gib
}

resource "aws_appautoscaling_policy" "storage" {
  name               = "${var.name}-storage"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.storage.service_namespace
  scalable_dimension = aws_appautoscaling_target.storage.scalable_dimension
  resource_id        = aws_appautoscaling_target.storage.resource_id
  target_tracking_scaling_policy_configuration {
    target_value     = 60
    disable_scale_in = true
    predefined_metric_specification {
      predefined_metric_type = "KafkaBrokerStorageUtilization"
    }
  }
}

resource "aws_msk_topic" "this" {
  cluster_arn        = aws_msk_cluster.this.arn
  name               = var.topic
  partition_count    = var.partitions
  replication_factor = var.replication_factor

  lifecycle {
    precondition {
      condition     = var.partitions >= var.max_consumers
      error_message = "partitions (${var.partitions}) are fewer than max_consumers (${var.max_consumers}): pods beyond the partitions do nothing."
    }
  }
}

# Letters are few and their order means nothing: one partition.
resource "aws_msk_topic" "dead_letters" {
  count              = var.dead_letter_topic == "" ? 0 : 1
  cluster_arn        = aws_msk_cluster.this.arn
  name               = var.dead_letter_topic
  partition_count    = 1
  replication_factor = var.replication_factor
}
