//! One file a benchmark.

mod adaptive;
mod demo;
mod footprint;
mod incumbent;
mod kill;
mod peers;
mod postgres;
mod rescale;
mod scaler;
mod sim;
mod soak;
mod startup;

use clap::ValueEnum;

use crate::findings::{Finding, Target};
use crate::run::{Bench, Run};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// From a start to the first stored record.
    Startup,
    /// 24 partitions, 2,000/s, 1→6→12→20→8→2 pods.
    Rescale24,
    /// 100 partitions, 5,000/s, 10→20→30→50→90→60→30 pods.
    Rescale100,
    /// kill -9 of 3 of 8 pods.
    Kill,
    /// 90 pods at 5,000/s on 100 partitions: CPU and memory.
    Footprint,
    /// The published demo's pods and load, compressed five times.
    Incumbent,
    /// What `make demo` does.
    Demo,
    /// 2,000,000 waiting trades into PostgreSQL, against psql's own copy.
    Postgres,
    /// 8 pods, a sink with a second a batch: batches of automatic size.
    Adaptive,
    /// One pod, 1,000 partitions: memory over time.
    Soak,
    /// Beside Kafka Connect, Kafka's performance tools and kcat.
    Peers,
    /// 500 ScaledObjects of 100 partitions served by one scaler.
    Scaler,
    /// A simulated day, and a search of 10,000 configurations.
    Sim,
}

impl Case {
    pub(crate) const ALL: [Self; 13] = [
        Self::Startup,
        Self::Rescale24,
        Self::Rescale100,
        Self::Kill,
        Self::Footprint,
        Self::Incumbent,
        Self::Demo,
        Self::Postgres,
        Self::Adaptive,
        Self::Soak,
        Self::Peers,
        Self::Scaler,
        Self::Sim,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Startup => "startup",
            Self::Rescale24 => "rescale24",
            Self::Rescale100 => "rescale100",
            Self::Kill => "kill",
            Self::Footprint => "footprint",
            Self::Incumbent => "incumbent",
            Self::Demo => "demo",
            Self::Postgres => "postgres",
            Self::Adaptive => "adaptive",
            Self::Soak => "soak",
            Self::Peers => "peers",
            Self::Scaler => "scaler",
            Self::Sim => "sim",
        }
    }

    pub(crate) fn run(self, bench: &Bench) -> anyhow::Result<Vec<Finding>> {
        match self {
            Self::Startup => startup::run(bench),
            Self::Rescale24 => rescale::run(bench, &rescale::SMALL),
            Self::Rescale100 => rescale::run(bench, &rescale::LARGE),
            Self::Kill => kill::run(bench),
            Self::Footprint => footprint::run(bench),
            Self::Incumbent => incumbent::run(bench),
            Self::Demo => demo::run(bench),
            Self::Postgres => postgres::run(bench),
            Self::Adaptive => adaptive::run(bench),
            Self::Soak => soak::run(bench),
            Self::Peers => peers::run(bench),
            Self::Scaler => scaler::run(bench),
            Self::Sim => sim::run(bench),
        }
    }
}

/// Nothing lost, repeated, reordered, refused.
fn promise(run: &Run) -> anyhow::Result<Vec<Finding>> {
    let mut findings =
        vec![Finding::new("sent", run.number("/audit/sent")?, "records", Target::Told)];
    for (name, pointer) in [
        ("lost", "/audit/lost"),
        ("stored more than once", "/audit/duplicated"),
        ("out of order", "/audit/out_of_order"),
        ("failed commits", "/world/commit_failures"),
    ] {
        findings.push(Finding::new(name, run.number(pointer)?, "records", Target::Exactly(0.0)));
    }
    Ok(findings)
}

/// `0:1,10:6` from pairs.
fn path_text(path: &[(i64, i64)]) -> String {
    let parts: Vec<String> = path.iter().map(|(at_s, pods)| format!("{at_s}:{pods}")).collect();
    parts.join(",")
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
