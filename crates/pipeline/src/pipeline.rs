//! From options, a decoder and a sink to a running pipeline.
//!
//! Order of a start: cluster id, sink prepared, group joined. A pod whose
//! database is unreachable must not hold partitions.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use futures_util::FutureExt as _;
use prometheus_client::registry::Registry;
use tidegate_kafka::{GroupConsumer, GroupOptions, GroupProtocol};

use crate::backoff::Backoff;
use crate::batch::Batch;
use crate::cluster;
use crate::decode::{Decoder, Row};
use crate::engine::{Engine, with_retries};
use crate::events::{SinkFailed, Started};
use crate::handle::PipelineHandle;
use crate::intake;
use crate::scrape::Scrape;
use crate::sink::{HandlerSink, Sink, SinkContext, SinkError};
use crate::status::Status;
use crate::{Error, PipelineOptions, panic_message};

/// Collects the parts of a [`Pipeline`].
pub struct Builder<D = (), S = ()> {
    group: GroupOptions,
    options: PipelineOptions,
    decoder: D,
    sink: S,
    status: Arc<Status>,
}

impl<D, S> Builder<D, S> {
    /// Turns records into rows, for example [`TradeDecoder`](crate::TradeDecoder).
    pub fn decoder<N: Decoder>(self, decoder: N) -> Builder<N, S> {
        let Self { group, options, sink, status, .. } = self;
        Builder { group, options, decoder, sink, status }
    }

    /// Takes the batches, for example [`SqliteSink`](crate::SqliteSink).
    pub fn sink<N>(self, sink: N) -> Builder<D, N> {
        let Self { group, options, decoder, status, .. } = self;
        Builder { group, options, decoder, sink, status }
    }

    /// Gives the batches to an async closure, at least once: see [`HandlerSink`].
    pub fn handler<R, F, Fut>(self, handler: F) -> Builder<D, HandlerSink<F>>
    where
        R: Row,
        F: Fn(Arc<Batch<R>>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), SinkError>> + Send,
    {
        self.sink(HandlerSink::new(handler))
    }

    /// Registers every metric in [`METRICS`](crate::METRICS). Once a registry: what is
    /// registered twice no Prometheus takes. Two pipelines of a process have a sub-registry
    /// each, [`Registry::sub_registry_with_label`].
    #[must_use]
    pub fn registry(self, registry: &mut Registry) -> Self {
        self.status.metrics.register(registry);
        registry.register_collector(Box::new(Scrape { status: Arc::clone(&self.status) }));
        self
    }
}

impl<D: Decoder, S: Sink<D::Row>> Builder<D, S> {
    /// Checks the options.
    ///
    /// # Errors
    /// [`Error::Option`] or [`Error::Kafka`] for the first value out of range.
    pub fn build(self) -> Result<Pipeline<D, S>, Error> {
        self.group.validate()?;
        self.options.validate(&self.group)?;
        let Self { group, options, decoder, sink, status } = self;
        Ok(Pipeline { group, options, decoder, sink: Arc::new(sink), life: Life(status) })
    }
}

impl<D, S> fmt::Debug for Builder<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("options", &self.options).finish_non_exhaustive()
    }
}

/// A pipeline that can run once.
pub struct Pipeline<D: Decoder, S> {
    group: GroupOptions,
    options: PipelineOptions,
    decoder: D,
    sink: Arc<S>,
    life: Life,
}

impl Pipeline<crate::TradeDecoder, ()> {
    /// Starts a [`Builder`].
    #[must_use]
    pub fn builder(group: GroupOptions, options: PipelineOptions) -> Builder {
        Builder { group, options, decoder: (), sink: (), status: Arc::new(Status::new()) }
    }
}

impl<D: Decoder, S> fmt::Debug for Pipeline<D, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pipeline").field("options", &self.options).finish_non_exhaustive()
    }
}

/// What a pipeline did in its life.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Rows written.
    pub rows: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Batches written.
    pub batches: u64,
    /// Times a partition was found to be written by another owner.
    pub fenced: u64,
}

/// Tells the status that the pipeline is over: `run` has returned, or was dropped, or never was.
struct Life(Arc<Status>);

impl Drop for Life {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<D: Decoder, S: Sink<D::Row>> Pipeline<D, S> {
    /// Status and health, while the pipeline runs and after.
    pub fn handle(&self) -> PipelineHandle {
        PipelineHandle::new(Arc::clone(&self.life.0))
    }

    /// Joins the group and writes until `shutdown` resolves, then drains. It needs a tokio
    /// runtime of either kind with `enable_all`, and panics without one.
    ///
    /// # Cancellation
    /// Dropping the future stops without a drain, whoever still has a handle or the
    /// registry: the member leaves the group soon after, from its own thread. A batch in
    /// flight is written or not; its positions are in the sink's transaction, so nothing
    /// is lost or doubled (with a handler it may come again). Whoever wants to know how
    /// it ended resolves `shutdown` and awaits the summary instead.
    ///
    /// # Errors
    /// Only what no retry inside helps: see [`Error`]. Also then the write in
    /// flight was finished or rolled back, and the group was left if possible.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<Summary, Error> {
        Started { topic: &self.group.topic, options: &self.options }.emit();
        let status = Arc::clone(&self.life.0);
        let result = self.run_to_end(shutdown).await;
        result.map(|()| Summary {
            rows: status.rows.load(Relaxed),
            dead_letters: status.dead_letters.load(Relaxed),
            batches: status.batches.load(Relaxed),
            fenced: status.fenced.load(Relaxed),
        })
    }

    async fn run_to_end(self, shutdown: impl Future<Output = ()>) -> Result<(), Error> {
        let mut shutdown = pin!(shutdown);
        let offered = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            prepared = self.prepare_sink() => prepared?,
        };
        let revoke_timeout = Duration::from_millis(self.group.revoke_timeout_ms);
        let mut options = self.group;
        if options.protocol == GroupProtocol::Auto {
            options.protocol = offered;
        }
        // It blocks for a moment: it may have to fetch a token.
        let spawned = tokio::task::spawn_blocking(move || GroupConsumer::spawn(options)).await;
        let (group, events) = spawned.map_err(|_| Error::GroupEnded)??;
        let status = Arc::clone(&self.life.0);
        status.join(group.clone());
        let events = intake::spawn(self.decoder, self.options.max_payload_bytes, events)?;
        Engine::new(self.sink, group, self.options, revoke_timeout, status)
            .run(events, shutdown)
            .await
    }

    /// Returns what the cluster's groups speak.
    async fn prepare_sink(&self) -> Result<GroupProtocol, Error> {
        let backoff = Backoff::new(self.options.retry_initial_ms, self.options.retry_max_ms);
        let (cluster_id, offered) = cluster::find(&self.group.connection).await?;
        let context = SinkContext {
            group: self.group.group.clone(),
            cluster_id: Some(cluster_id),
            owner: self.owner(),
        };
        let prepare = || self.sink.prepare(&context);
        let prepared = with_retries("prepare", backoff, &self.life.0, prepare);
        // Its panic is told as that of a write is, and does not reach the caller.
        let prepared = AssertUnwindSafe(prepared).catch_unwind().await;
        let panicked = |panic: Box<dyn Any + Send>| panic_message(panic.as_ref());
        prepared.map_err(|panic| Error::SinkPanicked(panicked(panic)))?.map_err(|error| {
            let why = error.to_string();
            SinkFailed { kind: "fatal", doing: "prepare", why: &why, retry_in: None }
                .emit(&self.life.0);
            Error::Sink(error)
        })?;
        Ok(offered)
    }

    fn owner(&self) -> String {
        if self.options.owner.is_empty() {
            format!("{}/{}", self.group.connection.client_id, std::process::id())
        } else {
            self.options.owner.clone()
        }
    }
}

#[cfg(test)]
mod tests;
