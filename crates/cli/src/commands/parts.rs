//! What several commands build: runtime, connection, database, probes.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prometheus_client::registry::Registry;
use tidegate_kafka::{ConnectionOptions, SecurityProtocol};
use tidegate_load::audit::Database;
use tidegate_pipeline::table::TableKind;
use tidegate_pipeline::{
    Database as SinkDatabase, Mapping, MetricsServer, PostgresOptions, Probes,
};
use tidegate_postgres::{ConnectOptions, UrlError};

use super::security;
use crate::args::{DatabaseArgs, KafkaArgs, PodArgs};
use crate::config::{KafkaConfig, Layers};
use crate::exit::bad_input;

/// A current-thread runtime; see the crate's documentation for why.
pub(super) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Lays the Kafka flags over the other layers.
pub(super) fn lay_kafka(layers: &mut Layers, args: &KafkaArgs) -> anyhow::Result<()> {
    layers.set("kafka", "brokers", "--brokers", args.brokers.clone())?;
    for (key, flag, value) in args.security.values() {
        layers.set("kafka", key, flag, value)?;
    }
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
        "batch_latency_target_s",
        "--batch-latency-target",
        args.batch_latency_target,
    )?;
    layers.set(
        "consume",
        "database_connections",
        "--database-connections",
        args.database_connections,
    )?;
    let pooler = args.database_pooler.then_some(true);
    layers.set("consume", "database_pooler", "--database-pooler", pooler)?;
    layers.set(
        "consume",
        "message_processing_time_s",
        "--message-processing-time",
        args.message_processing_time,
    )
}

/// Lays the flag that names the database's password file over the other layers.
pub(super) fn lay_password_file(layers: &mut Layers, file: Option<&Path>) -> anyhow::Result<()> {
    let file = file.map(|file| file.display().to_string());
    layers.set("consume", "database_password_file", "--database-password-file", file)
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
        security: security::options(config)?,
        start_jitter_ms: config.start_jitter_ms,
        reconnect_backoff_ms: config.reconnect_backoff_ms,
        reconnect_backoff_max_ms: config.reconnect_backoff_max_ms,
        librdkafka,
    };
    connection.validate().map_err(|error| bad_input(error.to_string()))?;
    Ok(connection)
}

/// The cluster that was named, if one was. One of our own listens on this machine
/// only, in the clear, and what is set for another would only keep the pods from it.
pub(super) fn cluster(
    config: &KafkaConfig,
    args: &KafkaArgs,
    client_id: &str,
) -> anyhow::Result<Option<ConnectionOptions>> {
    let connection = connection(config, args, client_id)?;
    if args.brokers.is_some() {
        return Ok(Some(connection));
    }
    let protocol = connection.security.protocol();
    if protocol != SecurityProtocol::Plaintext {
        return Err(bad_input(format!(
            "security protocol {protocol}: needs --brokers; without, the broker is this machine's own"
        )));
    }
    Ok(None)
}

/// The database of a URL; an empty password file is none.
pub(super) fn database(url: &str, password_file: Option<&Path>) -> anyhow::Result<Database> {
    let refused = |why: &str| {
        bad_input(format!(
            "database = {:?}: {why}allowed is sqlite:PATH or postgres://USER@HOST/DATABASE",
            without_credentials(url)
        ))
    };
    if let Some(path) = url.strip_prefix("sqlite:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        if path.is_empty() {
            return Err(refused("it names no file; "));
        }
        return Ok(Database::Sqlite(PathBuf::from(path)));
    }
    if !url.starts_with("postgres:") && !url.starts_with("postgresql:") {
        return Err(refused(""));
    }
    let url = url.parse().map_err(|error: UrlError| refused(&format!("{error}; ")))?;
    let password_file = password_file.filter(|path| !path.as_os_str().is_empty());
    if let Some(path) = password_file {
        // Later it may be missing for a moment: a secret that is being replaced.
        std::fs::read(path).map_err(|error| {
            bad_input(format!("database password file {}: {error}", path.display()))
        })?;
    }
    Ok(Database::Postgres(ConnectOptions {
        password_file: password_file.map(Path::to_owned),
        ..ConnectOptions::new(url)
    }))
}

/// For the command line of a child: without the password, every user of the machine can
/// read it there.
pub(super) fn database_url(database: &Database) -> String {
    match database {
        Database::Sqlite(_) => database.to_string(),
        Database::Postgres(options) => options.url.without_password(),
    }
}

/// For the environment of a child.
pub(super) fn database_password(database: &Database) -> anyhow::Result<Option<OsString>> {
    match database {
        Database::Sqlite(_) => Ok(None),
        Database::Postgres(options) => Ok(options.password()?.map(OsString::from_vec)),
    }
}

/// The database of the tools' flags.
pub(super) fn sink_database(args: &DatabaseArgs) -> anyhow::Result<SinkDatabase> {
    Ok(match database(&args.database, args.password_file.as_deref())? {
        Database::Sqlite(path) => SinkDatabase::sqlite(&path),
        Database::Postgres(options) => SinkDatabase::Postgres(PostgresOptions {
            pooled: args.pooler,
            ..postgres_options(options)
        }),
    })
}

/// How the sink reaches a database.
pub(super) fn postgres_options(options: ConnectOptions) -> PostgresOptions {
    PostgresOptions {
        password_file: options.password_file,
        connect_timeout_ms: options.connect_timeout_ms,
        ..PostgresOptions::new(options.url)
    }
}

/// The table of a mapping file; without one the trades'. An empty path is none.
pub(super) fn table_kind(mapping: Option<&Path>) -> anyhow::Result<TableKind> {
    let Some(path) = mapping.filter(|path| !path.as_os_str().is_empty()) else {
        return Ok(TableKind::Trades);
    };
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| bad_input(format!("--mapping {name}: {error}")))?;
    let mapping = Mapping::from_text(&name, &text)
        .map_err(|error| bad_input(format!("--mapping {error}")))?;
    Ok(TableKind::Mapped(Arc::new(mapping)))
}

/// For messages about a URL that could not be read.
fn without_credentials(url: &str) -> String {
    let (url, mark) = url.split_once('?').map_or((url, ""), |(url, _)| (url, "?..."));
    let scheme = url.split_once(':').map_or("", |(scheme, _)| scheme);
    match url.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://...@{host}{mark}"),
        None => format!("{url}{mark}"),
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
    let server = MetricsServer::bind(address)
        .await
        .map_err(|error| anyhow::Error::new(error).context("--metrics-addr"))?;
    tokio::spawn(server.run(Arc::new(registry), probes, std::future::pending()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_named_without_its_password() {
        for url in [
            "mysql://me:s3cret@db/x",
            "postgres://me:s3cret@db/x?sslmode=maybe",
            "postgres:me:s3cret@db",
            "postgres://me@db:port/x?password=s3cret",
            "sqlite:",
        ] {
            let error = database(url, None).expect_err(url).to_string();
            assert!(error.contains("sqlite:PATH or postgres://"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
