//! Kafka to a database in micro-batches: each record's effect exactly once, in
//! key order.
//!
//! # The delivery contract
//! With a *transactional* sink ([`SqliteSink`], [`PostgresSink`]) rows, dead letters and positions
//! commit in one transaction, and a position is compared before it is set. So,
//! whatever happens to the process, the group or the broker:
//! - **Nothing is lost and nothing is doubled.** A record's row exists if and
//!   only if the position is past the record. On assignment the position comes
//!   from the database; Kafka's committed offset only follows, for lag readers.
//! - **A zombie cannot write.** Of two owners of a partition one commits; the
//!   other's transaction fails as a whole, and it goes on from the new position.
//! - **Order holds.** A partition's records are written in offset order, so a
//!   key's are too.
//! - **A bad record stops nobody.** What cannot be decoded, or is refused by the
//!   database, becomes a dead letter with payload, key, headers, position and
//!   reason, in the same transaction.
//! - **A database that is down stops everything, and loses nothing.** Fetching
//!   pauses when the buffers are full; writes are tried again with growing waits.
//!
//! With a *handler* ([`Builder::handler`]: your own async closure) delivery is at least
//! once: offsets are committed after its success, so after a crash or a rebalance
//! the last batch may come again.
//!
//! # Example
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate_pipeline::{Pipeline, PipelineOptions, SqliteOptions, SqliteSink, TradeDecoder};
//!
//! let group = tidegate_pipeline::kafka::GroupOptions::default();
//! let sink = SqliteSink::new(SqliteOptions { path: "trades.db".into(), ..Default::default() })?;
//! let pipeline = Pipeline::builder(group, PipelineOptions::default())
//!     .decoder(TradeDecoder)
//!     .sink(sink)
//!     .build()?;
//! let summary = pipeline.run(async { tokio::signal::ctrl_c().await.unwrap_or_default() }).await?;
//! # let _ = summary;
//! # Ok(()) }
//! ```
//!
//! Runnable examples are in `examples/`: `own_handler` (an idempotent call), `own_sink`
//! (exactly once into a file), `own_record` (an own type by serde, an own registry). A sink
//! or handler is tested with [`Batch::of`]. The crates whose types are in signatures are
//! here as well: [`kafka`], [`prometheus_client`], [`sink::postgres::tokio_postgres`],
//! [`sink::sqlite::rusqlite`].
//!
//! # Layout
//! Where a record goes: `decode` → `buffer` → `batch` → `sink/*` → commit.
//! - [`decode`]: record → row, or the reason for a dead letter
//! - `intake`: the thread that decodes
//! - `buffer`: records of a partition in order; oldest head first
//! - `batch`: what a sink gets
//! - `sizing/`: when a batch closes, how many are written at once, whether the sink
//!   is the limit
//! - `lifecycle`: what is owned, buffered, in flight, written (pure)
//! - `engine/`: the task that carries events in and decisions out
//! - [`table`]: the rows' table, from a row type or a mapping file
//! - [`dead_letters`]: reading and replaying them; a topic that has them as well
//! - [`sink`]: [`sink::sqlite`], [`sink::postgres`], `handler`, `discard`,
//!   `simulated`
//! - `events`, `metrics`, `scrape`, `status`: what the outside can see
//! - [`http`]: `/metrics`, `/healthz`, `/readyz`
//! - `pipeline`, `cluster`, `handle`, `options`, `error`: how it is put together

#![deny(missing_docs)]

mod backoff;
mod batch;
mod buffer;
mod clock;
mod cluster;
pub mod dead_letters;
pub mod decode;
mod engine;
mod error;
mod events;
mod handle;
pub mod http;
mod intake;
mod lifecycle;
mod metrics;
mod options;
mod pipeline;
mod scrape;
pub mod sink;
mod sizing;
mod status;
pub mod table;
#[cfg(test)]
mod testing;

pub use prometheus_client;
pub use tidegate_kafka as kafka;

pub use batch::{Batch, Entry, PositionUpdate};
pub use dead_letters::DeadLetterTopic;
pub use decode::{Decoder, JsonDecoder, Rejection, Row, TradeDecoder, TradeRow};
pub use error::Error;
pub use handle::PipelineHandle;
pub use http::{MetricsServer, Probes};
pub use metrics::{METRICS, MetricInfo};
pub use options::PipelineOptions;
pub use pipeline::{Builder, Pipeline, Summary};
pub use sink::postgres::{PostgresOptions, PostgresRow, PostgresSink, PostgresUrl};
pub use sink::sqlite::{SqliteOptions, SqliteRow, SqliteSink, Synchronous};
pub use sink::{
    Database, DiscardSink, HandlerSink, SimulatedWrite, Sink, SinkContext, SinkError, Written,
};
pub use status::Phase;
pub use table::{MappedDecoder, MappedRow, Mapping, MappingError};

/// What a panic said, if it said it in words.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
