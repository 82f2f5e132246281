//! Kafka Connect, standalone, with one Debezium JDBC sink: settings that were found the
//! fastest for it (two tasks, 3,000 records a statement, arrays through unnest).

use std::fs;
use std::path::Path;
use std::process::Stdio;

use anyhow::Context;

use super::Peers;
use super::broker::Guarded;

/// The trades as Connect is told of them.
const SCHEMA: &str = r#"{"type":"struct","optional":false,"fields":[{"field":"account_id","type":"string"},{"field":"trade_id","type":"string"},{"field":"symbol","type":"string"},{"field":"trade_type","type":"string"},{"field":"quantity","type":"int64"},{"field":"price","type":"double"},{"field":"timestamp","type":"string"}]}"#;

/// The record's fields, for either side.
pub(crate) const TABLE: &str = "CREATE TABLE trades (account_id text, trade_id text, symbol text, \
     trade_type text, quantity bigint, price double precision, timestamp text)";

/// What happens to a row whose key is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Insert,
    /// By `trade_id`.
    Upsert,
}

/// Starts a worker that writes the topic into the table `trades`.
pub(crate) fn start(
    peers: &Peers,
    (bootstrap, topic): (&str, &str),
    database_url: &str,
    (mode, round): (Mode, usize),
    directory: &Path,
) -> anyhow::Result<Guarded> {
    fs::create_dir_all(directory)?;
    let worker = directory.join("worker.properties");
    fs::write(&worker, worker_properties(peers, bootstrap, directory)?)?;
    let sink = directory.join("sink.properties");
    fs::write(&sink, sink_properties(topic, database_url, (mode, round))?)?;
    let log = directory.join("connect.log");
    let child = peers
        .java(2048, &log)?
        .arg("org.apache.kafka.connect.cli.ConnectStandalone")
        .args([&worker, &sink])
        .current_dir(directory)
        .stdin(Stdio::null())
        .stdout(fs::File::create(directory.join("stdout.log"))?)
        .stderr(fs::File::create(directory.join("stderr.log"))?)
        .spawn()
        .context("start java")?;
    Ok(Guarded(child))
}

fn worker_properties(peers: &Peers, bootstrap: &str, directory: &Path) -> anyhow::Result<String> {
    let [port] = tidegate_ports::free()?;
    Ok(format!(
        "bootstrap.servers={bootstrap}\n\
         key.converter=org.apache.kafka.connect.storage.StringConverter\n\
         value.converter=org.apache.kafka.connect.json.JsonConverter\n\
         value.converter.schemas.enable=true\n\
         value.converter.schema.content={SCHEMA}\n\
         offset.storage.file.filename={}\n\
         offset.flush.interval.ms=5000\n\
         plugin.path={}\n\
         plugin.discovery=service_load\n\
         connector.client.config.override.policy=All\n\
         listeners=http://127.0.0.1:{port}\n",
        directory.join("offsets").display(),
        peers.plugins.display(),
    ))
}

fn sink_properties(
    topic: &str,
    database_url: &str,
    (mode, round): (Mode, usize),
) -> anyhow::Result<String> {
    let rest = database_url.strip_prefix("postgres://").context("a postgres URL")?;
    let (user, address) = rest.split_once('@').context("a URL with a user")?;
    // Its group is named after it: a name of its own starts at the first record.
    let name = if mode == Mode::Insert { "insert" } else { "upsert" };
    let mode = match mode {
        Mode::Insert => "insert.mode=insert\nprimary.key.mode=none\n",
        Mode::Upsert => {
            "insert.mode=upsert\nprimary.key.mode=record_value\nprimary.key.fields=trade_id\n"
        }
    };
    Ok(format!(
        "name=trades-{name}-{round}\n\
         connector.class=io.debezium.connector.jdbc.JdbcSinkConnector\n\
         tasks.max=2\n\
         topics={topic}\n\
         connection.url=jdbc:postgresql://{address}\n\
         connection.username={user}\n\
         connection.password=none\n\
         collection.name.format=trades\n\
         schema.evolution=none\n\
         batch.size=3000\n\
         consumer.override.max.poll.records=3000\n\
         consumer.override.auto.offset.reset=earliest\n\
         dialect.postgres.unnest.insert.enabled=true\n\
         {mode}"
    ))
}
