//! Options of a world.

use std::path::PathBuf;
use std::time::Duration;

use crate::Error;
use crate::controller::{Law, ReplicaPath};
use crate::pods::CommandTemplate;
use tidegate_autoscale::law::{Compared, SloLaw, SloOptions, StockLaw, StockOptions};
use tidegate_autoscale::scaled_object::ScaledObject;
use tidegate_kafka::ConnectionOptions;

/// Who decides the replicas, before the clock starts.
#[derive(Debug, Clone)]
pub enum LawOptions {
    /// KEDA and HPA by this ScaledObject.
    Stock {
        /// The object.
        scaled_object: Box<ScaledObject>,
        /// The HPA's sync period.
        hpa_sync_period: Duration,
    },
    /// The least pods that keep a promised age.
    Slo {
        /// The promise, the bounds, the guesses.
        options: Box<SloOptions>,
        /// The stock law with this object is asked beside it, for comparison.
        scaled_object: Box<ScaledObject>,
        /// The stock law's sync period.
        hpa_sync_period: Duration,
    },
    /// A schedule.
    Path(ReplicaPath),
}

impl LawOptions {
    pub(crate) fn start(&self, now_ms: i64) -> Result<Law, Error> {
        Ok(match self {
            Self::Path(path) => Law::Path(path.clone()),
            Self::Slo { options, scaled_object, hpa_sync_period } => {
                let law = SloLaw::new((**options).clone(), now_ms)?;
                let stock = stock(scaled_object, *hpa_sync_period, now_ms);
                Law::Slo { law: Box::new(Compared::new(law, stock, "stock")), seen: None }
            }
            Self::Stock { scaled_object, hpa_sync_period } => {
                Law::Stock(Box::new(stock(scaled_object, *hpa_sync_period, now_ms)))
            }
        })
    }

    /// Pods that stay when there is nothing to do.
    pub(crate) fn resting_replicas(&self) -> i32 {
        match self {
            Self::Path(_) => 0,
            Self::Slo { options, .. } => options.min_replicas,
            Self::Stock { scaled_object, .. } => scaled_object.min_replicas(),
        }
    }
}

fn stock(object: &ScaledObject, hpa_sync_period: Duration, now_ms: i64) -> StockLaw {
    let options = StockOptions {
        hpa_sync_period_ms: hpa_sync_period.as_millis() as i64,
        ..StockOptions::default()
    };
    StockLaw::new(object.clone(), options, now_ms)
}

/// Options of a world.
#[derive(Debug, Clone)]
pub struct WorldOptions {
    /// An existing cluster; `None` starts a broker of its own.
    pub cluster: Option<ConnectionOptions>,
    /// Topic, created when it is missing.
    pub topic: String,
    /// Its partitions, when it is created.
    pub partitions: u32,
    /// Consumer group.
    pub group: String,
    /// Prints [`super::ProducerReport`] lines; `{brokers}` in an argument is replaced.
    pub producer: CommandTemplate,
    /// Prints [`tidegate_kafka::PodReport`] lines; `{brokers}` is replaced.
    pub consumer: CommandTemplate,
    /// Who decides.
    pub law: LawOptions,
    /// Delay of a pod's start.
    pub pod_start: Duration,
    /// From SIGTERM to SIGKILL.
    pub grace_period: Duration,
    /// What one pod can do, when it is known.
    pub pod_capacity_per_s: Option<f64>,
    /// Everything of this run.
    pub run_dir: PathBuf,
}
