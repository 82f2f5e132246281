//! `tidegate consume`: one consumer of the group.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tidegate_kafka::{ConnectionOptions, GroupOptions, GroupProtocol, PodReport};
use tidegate_load::audit::Database;
use tidegate_pipeline::table::TableKind;
use tidegate_pipeline::{
    DeadLetterTopic, Decoder, DiscardSink, MappedDecoder, Pipeline, PipelineHandle,
    PipelineOptions, PostgresOptions, PostgresSink, SimulatedWrite, Sink, SqliteOptions,
    SqliteSink, Synchronous, TradeDecoder,
};
use tokio::time::{MissedTickBehavior, interval};

use super::{parts, timing};
use crate::args::ConsumeArgs;
use crate::config::{BatchSize, Config, ConsumeConfig, Layers};
use crate::exit::{Outcome, bad_input};
use crate::logging;
use crate::signals::{StopSignals, service_stop};

/// How often a change of the assignment is looked for while reports are on.
const REPORT_TICK: Duration = Duration::from_millis(100);
/// A report is printed at least every so many ticks.
const TICKS_A_REPORT: u32 = 10;

pub(super) fn run(args: &ConsumeArgs) -> anyhow::Result<Outcome> {
    let config = resolve(args)?;
    let group = group_options(&config, args)?;
    let pipeline_options = pipeline_options(&config.consume);
    pipeline_options.validate(&group).map_err(|error| bad_input(error.to_string()))?;
    let table = parts::table_kind(Some(&config.consume.mapping))?;
    let database = match config.consume.database.as_str() {
        "none" => None,
        url => Some(parts::database(url, Some(&config.consume.database_password_file))?),
    };
    let timing = timing::check(&config.consume)?;
    logging::init(args.common.log_format);
    if let Some(line) = timing {
        tracing::warn!("{line}");
    }
    let run = Run { args, config: &config, group, pipeline_options };
    let Some(database) = database else {
        return match table {
            TableKind::Trades => run.consume(TradeDecoder, DiscardSink),
            TableKind::Mapped(mapping) => run.consume(MappedDecoder::new(mapping), DiscardSink),
        };
    };
    let letters = dead_letter_topic(&config, &run.group.connection)?;
    let postgres = |options| PostgresOptions {
        connections: config.consume.database_connections as usize,
        pooled: config.consume.database_pooler,
        ..parts::postgres_options(options)
    };
    match (database, table) {
        (Database::Sqlite(path), TableKind::Trades) => {
            let sink = SqliteSink::new(sqlite_options(&config.consume, path))?;
            run.consume(TradeDecoder, with_topic(sink, letters, SqliteSink::dead_letter_topic))
        }
        (Database::Sqlite(path), TableKind::Mapped(mapping)) => {
            let sink = SqliteSink::mapped(sqlite_options(&config.consume, path), &mapping)?;
            let sink = with_topic(sink, letters, SqliteSink::dead_letter_topic);
            run.consume(MappedDecoder::new(mapping), sink)
        }
        (Database::Postgres(options), TableKind::Trades) => {
            let sink = PostgresSink::new(postgres(options));
            run.consume(TradeDecoder, with_topic(sink, letters, PostgresSink::dead_letter_topic))
        }
        (Database::Postgres(options), TableKind::Mapped(mapping)) => {
            let sink = PostgresSink::mapped(postgres(options), &mapping);
            let sink = with_topic(sink, letters, PostgresSink::dead_letter_topic);
            run.consume(MappedDecoder::new(mapping), sink)
        }
    }
}

fn with_topic<S>(sink: S, topic: Option<DeadLetterTopic>, add: fn(S, DeadLetterTopic) -> S) -> S {
    match topic {
        Some(topic) => add(sink, topic),
        None => sink,
    }
}

/// The topic for dead letters, if one was named.
fn dead_letter_topic(
    config: &Config,
    connection: &ConnectionOptions,
) -> anyhow::Result<Option<DeadLetterTopic>> {
    match config.consume.dead_letter_topic.as_str() {
        "" => Ok(None),
        topic => DeadLetterTopic::new(connection, topic)
            .map(Some)
            .map_err(|error| bad_input(error.to_string())),
    }
}

/// What a consumer needs, whatever its rows are.
struct Run<'a> {
    args: &'a ConsumeArgs,
    config: &'a Config,
    group: GroupOptions,
    pipeline_options: PipelineOptions,
}

impl Run<'_> {
    fn consume<D: Decoder>(self, decoder: D, sink: impl Sink<D::Row>) -> anyhow::Result<Outcome> {
        let Self { args, config, group, pipeline_options } = self;
        let sink = SimulatedWrite::new(
            Duration::from_secs_f64(config.consume.batch_processing_time_s),
            Duration::from_secs_f64(config.consume.message_processing_time_s),
            sink,
        );
        let runtime = parts::runtime()?;
        runtime.block_on(async {
            let signals = StopSignals::install()?;
            let mut registry = Registry::default();
            let pipeline = Pipeline::builder(group, pipeline_options)
                .decoder(decoder)
                .sink(sink)
                .registry(&mut registry)
                .build()
                .map_err(|error| bad_input(error.to_string()))?;
            parts::serve_metrics(&config.consume.metrics_addr, registry, pipeline.handle()).await?;
            if args.report {
                tokio::spawn(print_reports(pipeline.handle()));
            }
            let handle = pipeline.handle();
            let stays = stays_on_terminate(&config.consume);
            let stop = {
                let (handle, watch_stdin) = (pipeline.handle(), args.exit_on_stdin_close);
                async move {
                    if service_stop(signals, watch_stdin).await == "SIGTERM" && stays {
                        handle.keep_place();
                    }
                }
            };
            let summary = pipeline.run(stop).await?;
            if args.report {
                print_report(&handle.report());
            }
            tracing::info!(rows = summary.rows, dead_letters = summary.dead_letters, "stopped");
            Ok(Outcome::Done)
        })
    }
}

/// Whether SIGTERM means a restart, after which the same member comes back.
fn stays_on_terminate(consume: &ConsumeConfig) -> bool {
    match consume.on_terminate.as_str() {
        "leave" => false,
        _ => !consume.instance_id.is_empty(),
    }
}

/// A pod's client is named after it: whoever knows that the pod is gone then knows
/// which member of the group is.
fn client_id() -> String {
    std::env::var("POD_NAME")
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or("tidegate-consume".into())
}

fn resolve(args: &ConsumeArgs) -> anyhow::Result<Config> {
    let mut layers = Layers::read(args.common.config.as_deref())?;
    parts::lay_kafka(&mut layers, &args.kafka)?;
    parts::lay_pod(&mut layers, &args.pod)?;
    layers.set(
        "consume",
        "batch_processing_time_s",
        "--batch-processing-time",
        args.pod.batch_processing_time,
    )?;
    layers.set("consume", "database", "--database", args.database.clone())?;
    parts::lay_password_file(&mut layers, args.password_file.as_deref())?;
    layers.set("consume", "instance_id", "--instance-id", args.instance_id.clone())?;
    layers.set("consume", "on_terminate", "--on-terminate", args.on_terminate.clone())?;
    layers.set("consume", "client_rack", "--client-rack", args.client_rack.clone())?;
    layers.set("consume", "grace_period_s", "--grace-period", args.grace_period)?;
    let mapping = args.mapping.as_ref().map(|path| path.display().to_string());
    layers.set("consume", "mapping", "--mapping", mapping)?;
    let topic = args.dead_letter_topic.clone();
    layers.set("consume", "dead_letter_topic", "--dead-letter-topic", topic)?;
    layers.set("consume", "metrics_addr", "--metrics-addr", args.metrics_addr.clone())?;
    layers.resolve()
}

fn group_options(config: &Config, args: &ConsumeArgs) -> anyhow::Result<GroupOptions> {
    let consume = &config.consume;
    let options = GroupOptions {
        connection: parts::connection(&config.kafka, &args.kafka, &client_id())?,
        group: consume.group.clone(),
        topic: config.kafka.topic.clone(),
        protocol: match consume.protocol.as_str() {
            "classic" => GroupProtocol::Classic,
            "consumer" => GroupProtocol::Consumer,
            _ => GroupProtocol::Auto,
        },
        session_timeout_ms: consume.session_timeout_ms,
        heartbeat_interval_ms: consume.heartbeat_interval_ms,
        max_poll_interval_ms: consume.max_poll_interval_ms,
        fetch_min_bytes: consume.fetch_min_bytes,
        fetch_wait_max_ms: consume.fetch_wait_max_ms,
        buffer_high_records: consume.buffer_high_records,
        commit_interval_ms: consume.commit_interval_ms,
        revoke_timeout_ms: consume.revoke_timeout_ms,
        instance_id: Some(consume.instance_id.clone()).filter(|id| !id.is_empty()),
        client_rack: Some(consume.client_rack.clone()).filter(|rack| !rack.is_empty()),
        ..GroupOptions::default()
    };
    options.validate().map_err(|error| bad_input(error.to_string()))?;
    Ok(options)
}

fn pipeline_options(consume: &ConsumeConfig) -> PipelineOptions {
    PipelineOptions {
        batch_size: match consume.batch_size {
            BatchSize::Auto => 0,
            BatchSize::Fixed(records) => records as usize,
        },
        batch_size_min: consume.batch_size_min as usize,
        batch_size_max: consume.batch_size_max as usize,
        batch_latency_target_ms: (consume.batch_latency_target_s * 1000.0) as u64,
        batch_max_bytes: consume.batch_max_bytes as usize,
        batch_timeout_ms: consume.batch_timeout().as_millis() as u64,
        max_payload_bytes: consume.max_payload_bytes as usize,
        drain_timeout_ms: consume.drain_timeout_ms,
        ..PipelineOptions::default()
    }
}

fn sqlite_options(consume: &ConsumeConfig, path: PathBuf) -> SqliteOptions {
    SqliteOptions {
        path,
        synchronous: match consume.sqlite_synchronous.as_str() {
            "full" => Synchronous::Full,
            _ => Synchronous::Normal,
        },
        ..SqliteOptions::default()
    }
}

/// One line a second, and one at once when partitions came or went.
async fn print_reports(handle: PipelineHandle) {
    let mut timer = interval(REPORT_TICK);
    timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = PodReport::default();
    let mut ticks = 0;
    loop {
        timer.tick().await;
        ticks += 1;
        let report = handle.report();
        let changed = report.assigned != last.assigned || report.ready != last.ready;
        if changed || ticks >= TICKS_A_REPORT {
            print_report(&report);
            last = report;
            ticks = 0;
        }
    }
}

/// A supervisor that is gone reads no reports: not an error.
fn print_report(report: &PodReport) {
    if let Ok(line) = serde_json::to_string(report) {
        let mut stdout = std::io::stdout().lock();
        let _ = writeln!(stdout, "{line}");
        let _ = stdout.flush();
    }
}
