//! What several commands build: runtime, connection, database, probes.

use std::path::PathBuf;
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tidegate_kafka::ConnectionOptions;
use tidegate_pipeline::{MetricsServer, Probes};

use crate::args::{KafkaArgs, PodArgs};
use crate::config::{KafkaConfig, Layers};
use crate::exit::bad_input;

/// A current-thread runtime; see the crate's documentation for why.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Lays the Kafka flags over the other layers.
pub(super) fn lay_kafka(layers: &mut Layers, args: &KafkaArgs) -> anyhow::Result<()> {
    layers.set("kafka", "brokers", "--brokers", args.brokers.clone())?;
    layers.set("kafka", "topic", "--topic", args.topic.clone())
}

/// Lays the flags that shape a consumer over the other layers.
pub(super) fn lay_pod(layers: &mut Layers, args: &PodArgs) -> anyhow::Result<()> {
    layers.set("consume", "group", "--group", args.group.clone())?;
    layers.set("consume", "protocol", "--protocol", args.protocol.clone())?;
    layers.set("consume", "batch_size", "--batch-size", args.batch_size)?;
    layers.set(
        "consume",
        "batch_timeout_s",
        "--batch-timeout-seconds",
        args.batch_timeout_seconds,
    )?;
    layers.set(
        "consume",
        "message_processing_time_s",
        "--message-processing-time",
        args.message_processing_time,
    )
}

/// How to reach the cluster, raw settings included.
pub(super) fn connection(
    config: &KafkaConfig,
    args: &KafkaArgs,
    client_id: &str,
) -> anyhow::Result<ConnectionOptions> {
    let mut librdkafka = config.librdkafka.clone();
    librdkafka.extend(args.kafka_config.iter().cloned());
    let connection = ConnectionOptions {
        brokers: config.brokers.clone(),
        client_id: client_id.into(),
        librdkafka,
    };
    connection.validate().map_err(|error| bad_input(error.to_string()))?;
    Ok(connection)
}

/// The file of a `sqlite:` URL.
pub(super) fn sqlite_path(url: &str) -> anyhow::Result<PathBuf> {
    let path = url.strip_prefix("sqlite:").map(|path| path.strip_prefix("//").unwrap_or(path));
    match path {
        Some(path) if !path.is_empty() => Ok(PathBuf::from(path)),
        _ => Err(bad_input(format!(
            "database = {url:?}: allowed is sqlite:PATH, for example sqlite:trades.db"
        ))),
    }
}

/// Serves metrics and probes in the background until the runtime ends; `off`
/// serves nothing.
pub(super) async fn serve_metrics(
    address: &str,
    registry: Registry,
    probes: impl Probes,
) -> anyhow::Result<()> {
    if address == "off" {
        return Ok(());
    }
    let server = MetricsServer::bind(address).await?;
    tokio::spawn(server.run(Arc::new(registry), probes, std::future::pending()));
    Ok(())
}
