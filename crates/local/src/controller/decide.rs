//! The law that is in force.

use std::time::Instant;

use tidegate_autoscale::lag::PartitionOffsets;
use tidegate_autoscale::law::{
    Compared, Decision, Facts as LawFacts, HpaView, Law as _, SinkFacts, SloLaw, StockLaw,
};

use super::{Facts, ReplicaPath};

/// Who decides the number of replicas.
#[derive(Debug)]
pub enum Law {
    /// KEDA's Kafka trigger and activation, and the HPA.
    Stock(Box<StockLaw>),
    /// The least pods that keep a promised age.
    Slo {
        /// It, and the stock law beside it.
        law: Box<Compared<SloLaw, StockLaw>>,
        /// When the facts it saw last were read.
        seen: Option<Instant>,
    },
    /// A schedule, from the start of the load.
    Path(ReplicaPath),
}

/// Replicas wanted, and the decisions that led there.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Wanted replicas.
    pub replicas: i32,
    /// Decisions of this second, with those that changed nothing.
    pub decisions: Vec<Decision>,
    /// The last one in words.
    pub why: String,
}

impl Law {
    /// What to do now. `load_over` is true when nothing will arrive any more and
    /// nothing is left: a schedule then goes to zero.
    pub fn decide(
        &mut self,
        now_ms: i64,
        since_start_s: f64,
        replicas: LawReplicas,
        facts: Option<&Facts>,
        load_over: bool,
    ) -> Decided {
        let decisions = match self {
            Self::Path(path) => {
                let over = load_over && path.is_over(since_start_s);
                let wanted = if over { 0 } else { path.at(since_start_s) };
                let why = if over { "load over, schedule ended" } else { "schedule" };
                let replicas = wanted as i32;
                return Decided { replicas, decisions: Vec::new(), why: why.into() };
            }
            Self::Stock(law) => law.tick(now_ms, &law_facts(replicas, facts)),
            Self::Slo { law, seen } => {
                let facts_of_law = law_facts(replicas, facts);
                let read_at = facts.map(|facts| facts.read_at);
                // The same answer again would look like a second without arrivals.
                if facts_of_law.offsets.is_ok() && std::mem::replace(seen, read_at) == read_at {
                    Vec::new()
                } else {
                    law.tick(now_ms, &facts_of_law)
                }
            }
        };
        let wanted = decisions.last().map_or(replicas.spec, |decision| decision.to);
        let telling = decisions.iter().rfind(|decision| decision.changes());
        let why = telling.or(decisions.last()).map(Decision::explanation).unwrap_or_default();
        Decided { replicas: wanted, decisions, why }
    }

    /// What a table of autoscalers shows; `None` under a schedule.
    pub fn hpa_view(&self) -> Option<HpaView> {
        match self {
            Self::Path(_) => None,
            Self::Stock(law) => Some(law.hpa_view()),
            Self::Slo { law, .. } => Some(law.hpa_view()),
        }
    }
}

/// Replica counts the law looks at.
#[derive(Debug, Clone, Copy)]
pub struct LawReplicas {
    /// Wanted so far.
    pub spec: i32,
    /// Not on their way out.
    pub status: i32,
    /// Ready.
    pub ready: i32,
    /// What the ready pods report of their sink; `None` if none works.
    pub sink: Option<SinkFacts>,
}

/// Facts older than this are an error to the law, as a failed query would be.
const STALE_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

fn law_facts(replicas: LawReplicas, facts: Option<&Facts>) -> LawFacts {
    LawFacts {
        spec_replicas: replicas.spec,
        status_replicas: replicas.status,
        ready_replicas: replicas.ready,
        offsets: law_offsets(facts),
        sink: replicas.sink,
    }
}

fn law_offsets(facts: Option<&Facts>) -> Result<Vec<PartitionOffsets>, String> {
    let facts = facts.ok_or_else(|| "not read yet".to_owned())?;
    let age = facts.read_at.elapsed();
    if age > STALE_AFTER {
        return Err(format!("the last answer is {} s old", age.as_secs()));
    }
    let offsets = facts.offsets.as_ref().map_err(Clone::clone)?;
    Ok(offsets
        .iter()
        .map(|partition| PartitionOffsets {
            partition: partition.partition,
            committed: partition.committed,
            end: partition.end,
        })
        .collect())
}
