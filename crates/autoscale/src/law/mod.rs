//! Laws: facts in, decisions out.
//!
//! A law is ticked by its caller at any cadence and does what is due. It keeps the
//! memory that the real controllers keep, and knows no clock: time is an argument.
//!
//! # Layout
//! - [`StockLaw`]: KEDA's trigger and executor, and the HPA
//! - [`SloLaw`]: the least pods that keep a promised age
//! - [`Compared`]: a law, and what another one would have said; [`Beside`]: that other one
//! - [`Recorder`]: a law of which something is kept: [`Keep`]
//! - [`ThroughKeda`]: a law whose number KEDA and the HPA carry out
//! - [`Schedule`]: replicas by the clock, whatever the facts
//! - [`SinkFacts`]: what the pods report of their sink
//! - [`Decision`]: with its inputs, terms, limit and alternative; in words

mod compared;
mod decision;
mod explain;
mod joins;
mod recorder;
mod schedule;
mod sink;
mod slo;
mod stock;
mod through_keda;

pub use compared::{Beside, Compared};
pub use decision::{Alternative, Decider, Decision, HpaView};
pub use joins::Joins;
pub use recorder::{Keep, Recorder};
pub use schedule::Schedule;
pub use sink::{PodSink, SinkFacts};
pub use slo::{SloLaw, SloOptions, SloOptionsError, SloTerm, SloTerms};
pub use stock::{StockLaw, StockOptions};
pub use through_keda::ThroughKeda;

use crate::lag::{LagSums, PartitionOffsets};

/// What a law looks at.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Wanted replicas so far (`spec.replicas`).
    pub spec_replicas: i32,
    /// Pods that exist and are not on their way out (`status.replicas`).
    pub status_replicas: i32,
    /// Ready pods.
    pub ready_replicas: i32,
    /// The group's offsets, or why they could not be read.
    pub offsets: Result<Vec<PartitionOffsets>, String>,
    /// What the pods report of their sink; `None` where nobody asks them.
    pub sink: Option<SinkFacts>,
}

/// A law behind one type, so that worlds can run any of them.
pub trait Law {
    /// Does everything that is due, in time order. Decisions that change nothing are
    /// among the answers; the last one's `to` is what is wanted now.
    fn tick(&mut self, now_ms: i64, facts: &Facts) -> Vec<Decision>;

    /// The same, where the caller has the sums of the offsets, for any number of laws. Who
    /// takes them does not look at the offsets.
    fn tick_with_sums(&mut self, now_ms: i64, facts: &Facts, sums: LagSums) -> Vec<Decision> {
        let _ = sums;
        self.tick(now_ms, facts)
    }

    /// What its metric makes of a lag, records; a cap shows here.
    fn seen_lag(&self, lag: i64, partitions: i64) -> i64 {
        let _ = partitions;
        lag
    }

    /// When something is due next, milliseconds.
    fn next_due_ms(&self) -> i64;

    /// The last decisions were not carried out; what the law remembers of having
    /// done so is to be forgotten.
    fn not_followed(&mut self) {}

    /// What a table of autoscalers shows.
    fn hpa_view(&self) -> HpaView;
}
