//! The law that is in force.

use tidegate_autoscale::lag::PartitionOffsets;
use tidegate_autoscale::law::{Decision, Facts as LawFacts, Law as _, StockLaw};

use super::{Facts, ReplicaPath};

/// Who decides the number of replicas.
#[derive(Debug)]
pub enum Law {
    /// KEDA's Kafka trigger and activation, and the HPA.
    Stock(Box<StockLaw>),
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
        match self {
            Self::Path(path) => {
                let over = load_over && path.is_over(since_start_s);
                let wanted = if over { 0 } else { path.at(since_start_s) };
                let why = if over { "load over, schedule ended" } else { "schedule" };
                Decided { replicas: wanted as i32, decisions: Vec::new(), why: why.into() }
            }
            Self::Stock(law) => {
                let facts = LawFacts {
                    spec_replicas: replicas.spec,
                    status_replicas: replicas.status,
                    ready_replicas: replicas.ready,
                    offsets: law_offsets(facts),
                };
                let decisions = law.tick(now_ms, &facts);
                let wanted = decisions.last().map_or(replicas.spec, |decision| decision.to);
                let telling = decisions.iter().rfind(|decision| decision.changes());
                let why = telling.or(decisions.last()).map(Decision::explanation);
                let why = why.unwrap_or_default();
                Decided { replicas: wanted, decisions, why }
            }
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
}

/// Facts older than this are an error to the law, as a failed query would be.
const STALE_AFTER: std::time::Duration = std::time::Duration::from_secs(5);

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
