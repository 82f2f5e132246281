# shellcheck shell=bash
# shellcheck disable=SC2016
# Faults that check-terraform.sh must find: sourced at its end, one `plant` each.
# plant NAME KIND FOLDER FILE PERL TEXT

plant "an attribute misspelt" validate modules/msk modules/msk/main.tf \
  's/instance_type   =/instance_typ    =/' 'An argument named "instance_typ" is not expected here'
plant "a required argument missing" validate modules/msk modules/msk/main.tf \
  's/  number_of_broker_nodes = var.broker_count\n//' 'The argument "number_of_broker_nodes" is required'
plant "a value that the service does not have" validate modules/budget modules/budget/main.tf \
  's/"MONTHLY"/"WEEKLY"/' 'time_unit'
plant "a reference to nothing" validate . main.tf \
  's/module\.msk\.bootstrap_brokers/module.msk.brokers/' 'This object does not have an attribute named "brokers"'
plant "a file that is not formatted" fmt . modules/budget/main.tf \
  's/budget_type  =/budget_type =/' 'budget_type'

plant "Auto Mode without block storage" test modules/eks modules/eks/main.tf \
  's/  storage_config \{.*?\n  \}\n\n//s' 'storage_config'
plant "Auto Mode without load balancing, as the provider sees it" test . modules/eks/main.tf \
  's/  kubernetes_network_config \{.*?\n  \}\n\n//s' 'must all be set to either true or false'
plant "the API open to the internet" test modules/eks modules/eks/main.tf \
  's/endpoint_public_access  = length\(var.public_access_cidrs\) > 0/endpoint_public_access  = true/' 'from the VPC only'
plant "min ISR of all copies, in the demo" test examples/demo variables.tf \
  's/(variable "min_insync_replicas" .*?default     = )1/${1}2/s' 'must be below replication_factor'
plant "no rule for min ISR" test modules/msk modules/msk/main.tf \
  's/var.min_insync_replicas < var.replication_factor/var.min_insync_replicas <= var.replication_factor/' 'Missing expected failure'
plant "fewer partitions than pods, in production" test examples/production examples/production/main.tf \
  's/partitions          = 240/partitions          = 119/' 'are fewer than max_consumers'
plant "production on one NAT gateway" test examples/production examples/production/main.tf \
  's/"per_zone"/"single"/' 'production needs zone_count = 3'
plant "logs in the clear between brokers" test modules/msk modules/msk/main.tf \
  's/in_cluster    = true/in_cluster    = false/' 'nothing may travel in the clear'
plant "Grafana's default password" test modules/platform modules/platform/main.tf \
  's/value = random_password.grafana.result \}\]/value = "prom-operator" }]/' 'Grafana is given the password that was made'
plant "an output that the scripts read" test examples/demo examples/demo/outputs.tf \
  's/output "bootstrap_brokers"/output "brokers"/' 'bootstrap_brokers'
plant "no STS endpoint" test modules/network modules/network/main.tf \
  's/"sts", //' 'stay in the VPC'
plant "a budget that counts another tag" test modules/budget modules/budget/main.tf \
  's/user:Project/user:Team/' 'only what carries the tag Project'

plant "every action of Kafka" policies . modules/access/main.tf \
  's/"kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"/"kafka-cluster:*"/' 'which is in no allow row'
plant "every topic" policies . modules/access/main.tf \
  's/(sid = "WriteTopic".*?resources = )\[local.topic\]/${1}["\${var.topic_arn_prefix}\/*"]/' 'must deny kafka-cluster:WriteData on other-topic'
plant "an action misspelt" policies . modules/access/main.tf \
  's/kafka-cluster:ReadData/kafka-cluster:ReadDatum/' 'UNKNOWN_ACTION'
plant "a group's action on a topic" policies . modules/access/main.tf \
  's/(sid = "Group".*?resources = )\[local.group\]/${1}[local.topic]/' 'RESOURCE_MISMATCH'
plant "KEDA may end memberships" policies . modules/access/main.tf \
  's/keda   = local.look/keda   = concat(local.look, local.scaler_extra)/' 'fencing keda: must deny kafka-cluster:AlterGroup on group'
plant "the consumer may write" test modules/access modules/access/main.tf \
  's/"kafka-cluster:DescribeTopic", "kafka-cluster:ReadData"/"kafka-cluster:*"/' 'no action and no resource by wildcard'

plant "a secret under AWS's key" checkov . modules/platform/main.tf \
  's/  kms_key_id              = var.kms_key_arn\n//' 'CKV_AWS_149'
plant "a database in the clear" checkov . modules/database/main.tf \
  's/storage_encrypted                   = true/storage_encrypted                   = false/' 'CKV_AWS_96'
plant "an exception that nothing needs" checkov . checkov-exceptions.tsv \
  's/\z/CKV_AWS_7\taws_kms_key.this\tA reason that no longer holds anywhere.\n/' 'excepted, and not found any more'

plant "an exporter's port" charts . modules/platform/charts/broker-metrics/templates/scrapeconfig.yaml \
  's/11001/11003/' '11003'
