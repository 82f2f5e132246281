//! The resolved sections. Field comments, units and ranges: `config/default.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::BatchSize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) kafka: KafkaConfig,
    pub(crate) consume: ConsumeConfig,
    pub(crate) produce: ProduceConfig,
    pub(crate) scaler: ScalerConfig,
    pub(crate) up: UpConfig,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KafkaConfig {
    pub(crate) brokers: String,
    pub(crate) topic: String,
    pub(crate) security_protocol: String,
    pub(crate) sasl_mechanism: String,
    pub(crate) sasl_username: String,
    pub(crate) sasl_password_file: PathBuf,
    pub(crate) sasl_token_file: PathBuf,
    pub(crate) oidc_token_url: String,
    pub(crate) oidc_client_id: String,
    pub(crate) oidc_client_secret_file: PathBuf,
    pub(crate) oidc_scope: String,
    pub(crate) aws_region: String,
    pub(crate) tls_ca: PathBuf,
    pub(crate) tls_certificate: PathBuf,
    pub(crate) tls_key: PathBuf,
    pub(crate) tls_key_password_file: PathBuf,
    pub(crate) start_jitter_ms: u64,
    pub(crate) reconnect_backoff_ms: u64,
    pub(crate) reconnect_backoff_max_ms: u64,
    pub(crate) librdkafka: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConsumeConfig {
    pub(crate) group: String,
    pub(crate) protocol: String,
    pub(crate) instance_id: String,
    pub(crate) on_terminate: String,
    pub(crate) client_rack: String,
    pub(crate) grace_period_s: f64,
    pub(crate) database: String,
    pub(crate) database_password_file: PathBuf,
    pub(crate) database_pooler: bool,
    pub(crate) mapping: PathBuf,
    pub(crate) dead_letter_topic: String,
    pub(crate) database_connections: u64,
    pub(crate) sqlite_synchronous: String,
    pub(crate) batch_size: BatchSize,
    pub(crate) batch_size_min: u64,
    pub(crate) batch_size_max: u64,
    pub(crate) batch_latency_target_s: f64,
    pub(crate) batch_max_bytes: u64,
    pub(crate) batch_timeout_s: f64,
    pub(crate) message_processing_time_s: f64,
    pub(crate) batch_processing_time_s: f64,
    pub(crate) max_payload_bytes: u64,
    pub(crate) buffer_high_records: u64,
    pub(crate) commit_interval_ms: u64,
    pub(crate) fetch_min_bytes: u64,
    pub(crate) fetch_wait_max_ms: u64,
    pub(crate) revoke_timeout_ms: u64,
    pub(crate) drain_timeout_ms: u64,
    pub(crate) session_timeout_ms: u64,
    pub(crate) heartbeat_interval_ms: u64,
    pub(crate) max_poll_interval_ms: u64,
    pub(crate) metrics_addr: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProduceConfig {
    pub(crate) rate: f64,
    pub(crate) seed: u64,
    pub(crate) linger_ms: u64,
    pub(crate) compression: String,
    pub(crate) metrics_addr: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScalerConfig {
    pub(crate) listen: String,
    pub(crate) metrics_addr: String,
    pub(crate) interval_ms: u64,
    pub(crate) wake_interval_ms: u64,
    pub(crate) max_objects: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpConfig {
    pub(crate) partitions: u32,
    pub(crate) profile: String,
    pub(crate) law: String,
    pub(crate) target_age_s: f64,
    pub(crate) scaled_object: String,
    pub(crate) batch_size: BatchSize,
    pub(crate) batch_processing_time_s: f64,
    pub(crate) pod_start_s: f64,
    pub(crate) grace_period_s: f64,
    pub(crate) hpa_sync_period_s: f64,
}

/// A value outside its range.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) field: String,
    value: String,
    allowed: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: allowed is {}", self.field, self.value, self.allowed)
    }
}

fn range<T: PartialOrd + fmt::Display + Copy>(
    field: &str,
    value: T,
    low: T,
    high: T,
) -> Result<(), Broken> {
    if value >= low && value <= high {
        return Ok(());
    }
    Err(Broken {
        field: field.into(),
        value: value.to_string(),
        allowed: format!("{low} to {high}"),
    })
}

fn fixed_size(field: &str, size: BatchSize) -> Result<(), Broken> {
    match size {
        BatchSize::Auto => Ok(()),
        BatchSize::Fixed(records) => range(field, records, 1, 100_000),
    }
}

fn one_of(field: &str, value: &str, allowed: &[&str]) -> Result<(), Broken> {
    if allowed.contains(&value) {
        return Ok(());
    }
    Err(Broken { field: field.into(), value: format!("{value:?}"), allowed: allowed.join(", ") })
}

fn filled(field: &str, value: &str, example: &str) -> Result<(), Broken> {
    if !value.trim().is_empty() {
        return Ok(());
    }
    Err(Broken {
        field: field.into(),
        value: "\"\"".into(),
        allowed: format!("for example {example}"),
    })
}

/// Where something listens.
fn address(field: &str, text: &str, or_off: bool) -> Result<(), Broken> {
    let parts = text.rsplit_once(':');
    if parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
        || or_off && text == "off"
    {
        return Ok(());
    }
    Err(Broken {
        field: field.into(),
        value: format!("{text:?}"),
        allowed: if or_off { "HOST:PORT or off" } else { "HOST:PORT" }.into(),
    })
}

impl Config {
    pub(super) fn deserialize_table(table: toml::Table) -> Result<Self, toml::de::Error> {
        toml::Value::Table(table).try_into()
    }

    /// Ranges, and the rules between fields.
    pub(super) fn check(&self) -> Result<(), Broken> {
        filled("kafka.brokers", &self.kafka.brokers, "127.0.0.1:9092")?;
        filled("kafka.topic", &self.kafka.topic, "trade-tx")?;
        self.consume.check()?;
        self.check_dead_letter_topic()?;
        range("produce.rate", self.produce.rate, 0.0, 1e7)?;
        range("produce.linger_ms", self.produce.linger_ms, 0, 1000)?;
        one_of("produce.compression", &self.produce.compression, &["none", "gzip", "lz4", "zstd"])?;
        address("produce.metrics_addr", &self.produce.metrics_addr, true)?;
        address("scaler.listen", &self.scaler.listen, false)?;
        address("scaler.metrics_addr", &self.scaler.metrics_addr, true)?;
        range("scaler.interval_ms", self.scaler.interval_ms, 100, 60_000)?;
        range("scaler.wake_interval_ms", self.scaler.wake_interval_ms, 50, 60_000)?;
        range("scaler.max_objects", self.scaler.max_objects, 1, 100_000)?;
        self.up.check()
    }

    fn check_dead_letter_topic(&self) -> Result<(), Broken> {
        let topic = &self.consume.dead_letter_topic;
        let allowed = match () {
            () if topic.is_empty() => return Ok(()),
            () if *topic == self.kafka.topic => "another topic than kafka.topic, which is read",
            () if self.consume.database == "none" => {
                "\"\" with database = \"none\": there are no dead letters"
            }
            () => return Ok(()),
        };
        Err(Broken {
            field: "consume.dead_letter_topic".into(),
            value: format!("{topic:?}"),
            allowed: allowed.into(),
        })
    }
}

impl ConsumeConfig {
    fn check(&self) -> Result<(), Broken> {
        filled("consume.group", &self.group, "tx-trade-workers")?;
        one_of("consume.protocol", &self.protocol, &["auto", "consumer", "classic"])?;
        one_of("consume.on_terminate", &self.on_terminate, &["auto", "leave", "stay"])?;
        if self.on_terminate == "stay" {
            filled(
                "consume.instance_id",
                &self.instance_id,
                "pod-0, which on_terminate = \"stay\" needs",
            )?;
        }
        range("consume.grace_period_s", self.grace_period_s, 1.0, 3600.0)?;
        one_of("consume.sqlite_synchronous", &self.sqlite_synchronous, &["normal", "full"])?;
        range("consume.database_connections", self.database_connections, 1, 64)?;
        fixed_size("consume.batch_size", self.batch_size)?;
        range("consume.batch_size_max", self.batch_size_max, 1, 100_000)?;
        range("consume.batch_size_min", self.batch_size_min, 1, self.batch_size_max)?;
        range("consume.batch_latency_target_s", self.batch_latency_target_s, 0.001, 60.0)?;
        range("consume.batch_max_bytes", self.batch_max_bytes, 1024, 256 << 20)?;
        range("consume.batch_timeout_s", self.batch_timeout_s, 0.0, 60.0)?;
        range("consume.message_processing_time_s", self.message_processing_time_s, 0.0, 60.0)?;
        range("consume.batch_processing_time_s", self.batch_processing_time_s, 0.0, 60.0)?;
        range("consume.max_payload_bytes", self.max_payload_bytes, 1, 1_048_576_000)?;
        range("consume.buffer_high_records", self.buffer_high_records, 1, 10_000_000)?;
        range("consume.commit_interval_ms", self.commit_interval_ms, 10, 60_000)?;
        range("consume.fetch_min_bytes", self.fetch_min_bytes, 1, 100 << 20)?;
        range("consume.fetch_wait_max_ms", self.fetch_wait_max_ms, 1, 5000)?;
        range("consume.session_timeout_ms", self.session_timeout_ms, 1000, 3_600_000)?;
        range(
            "consume.heartbeat_interval_ms",
            self.heartbeat_interval_ms,
            100,
            self.session_timeout_ms / 3,
        )?;
        range(
            "consume.max_poll_interval_ms",
            self.max_poll_interval_ms,
            self.session_timeout_ms,
            86_400_000,
        )?;
        range(
            "consume.revoke_timeout_ms",
            self.revoke_timeout_ms,
            0,
            120_000.min(self.max_poll_interval_ms / 2),
        )?;
        range("consume.drain_timeout_ms", self.drain_timeout_ms, 100, 600_000)?;
        address("consume.metrics_addr", &self.metrics_addr, true)
    }

    /// Most records of a batch.
    pub(crate) fn largest_batch(&self) -> u64 {
        match self.batch_size {
            BatchSize::Auto => self.batch_size_max,
            BatchSize::Fixed(records) => records,
        }
    }

    pub(crate) fn batch_timeout(&self) -> Duration {
        Duration::from_secs_f64(self.batch_timeout_s)
    }
}

impl UpConfig {
    fn check(&self) -> Result<(), Broken> {
        range("up.partitions", self.partitions, 1, 10_000)?;
        one_of("up.law", &self.law, &["stock", "slo"])?;
        range("up.target_age_s", self.target_age_s, 0.1, 86_400.0)?;
        fixed_size("up.batch_size", self.batch_size)?;
        range("up.batch_processing_time_s", self.batch_processing_time_s, 0.0, 60.0)?;
        range("up.pod_start_s", self.pod_start_s, 0.0, 600.0)?;
        range("up.grace_period_s", self.grace_period_s, 1.0, 600.0)?;
        range("up.hpa_sync_period_s", self.hpa_sync_period_s, 1.0, 60.0)
    }
}
