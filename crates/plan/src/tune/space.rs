//! What may be set, and to which values. A configuration is one index a dimension.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use tidegate_autoscale::scaled_object::ScaledObject;

use super::policies::{DOWN, UP};
use crate::trial::NamedScenario;

/// Which law's settings are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LawKind {
    /// A ScaledObject for KEDA's Kafka trigger and the HPA.
    Stock,
    /// The SLO law's options.
    Slo,
}

/// Indices into the dimensions' values.
pub type Genes = Vec<u8>;

/// One setting and its values, from less to more.
#[derive(Debug, Clone, PartialEq)]
pub struct Dimension {
    /// Name of the setting.
    pub name: &'static str,
    /// Values; a policy is an index into its table.
    pub values: Vec<f64>,
}

/// All settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Space {
    /// Which law they are of.
    pub law: LawKind,
    /// One a setting.
    pub dimensions: Vec<Dimension>,
}

/// Seconds of a pod's work.
const THRESHOLD_S: &[f64] =
    &[0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0];

impl Space {
    /// The space for scenarios: thresholds by what a pod does, counts by the partitions.
    pub fn new(law: LawKind, scenarios: &[NamedScenario], object: &ScaledObject) -> Self {
        let dimensions = match law {
            LawKind::Stock => stock(scenarios, object),
            LawKind::Slo => slo(scenarios, object),
        };
        Self { law, dimensions }
    }

    /// Number of configurations.
    pub fn size(&self) -> f64 {
        self.dimensions.iter().map(|dimension| dimension.values.len() as f64).product()
    }

    /// A setting's value.
    pub fn value(&self, genes: &[u8], name: &str) -> f64 {
        let index = self.dimensions.iter().position(|dimension| dimension.name == name);
        index
            .and_then(|index| {
                let gene = usize::from(*genes.get(index)?);
                self.dimensions[index].values.get(gene).copied()
            })
            .unwrap_or(0.0)
    }

    pub(super) fn random(&self, random: &mut ChaCha8Rng) -> Genes {
        self.dimensions.iter().map(|dimension| draw(dimension, random)).collect()
    }

    /// One to three settings changed: to the next value mostly, to any sometimes.
    pub(super) fn mutated(&self, genes: &[u8], random: &mut ChaCha8Rng) -> Genes {
        let mut genes = genes.to_vec();
        for _ in 0..random.random_range(1..=3) {
            let index = random.random_range(0..genes.len());
            let last = (self.dimensions[index].values.len() - 1) as u8;
            genes[index] = match random.random_range(0..10) {
                0..=3 => genes[index].saturating_sub(1),
                4..=7 => genes[index].saturating_add(1).min(last),
                _ => draw(&self.dimensions[index], random),
            };
        }
        genes
    }

    /// Each setting from one of two.
    pub(super) fn crossed(&self, one: &[u8], other: &[u8], random: &mut ChaCha8Rng) -> Genes {
        let pick = |(one, other): (&u8, &u8)| if random.random() { *one } else { *other };
        one.iter().zip(other).map(pick).collect()
    }
}

fn draw(dimension: &Dimension, random: &mut ChaCha8Rng) -> u8 {
    random.random_range(0..dimension.values.len()) as u8
}

fn stock(scenarios: &[NamedScenario], object: &ScaledObject) -> Vec<Dimension> {
    let rate = scenarios
        .iter()
        .map(|named| named.scenario.pod.capacity_per_s())
        .fold(f64::INFINITY, f64::min);
    let thresholds = THRESHOLD_S.iter().map(|seconds| (seconds * rate).round().max(1.0));
    let dimension = |name, values: &[f64]| Dimension { name, values: sorted(values.to_vec()) };
    let table = |name, length: usize| Dimension {
        name,
        values: (0..length).map(|index| index as f64).collect(),
    };
    vec![
        dimension("lagThreshold", &thresholds.collect::<Vec<_>>()),
        dimension("ensureEvenDistributionOfPartitions", &[0.0, 1.0]),
        dimension("minReplicaCount", &floors(scenarios, object)),
        dimension("maxReplicaCount", &useful_counts(scenarios, object.max_replicas())),
        dimension("pollingInterval", &[1.0, 2.0, 5.0]),
        dimension("scaleUp.stabilizationWindowSeconds", &[0.0, 15.0]),
        table("scaleUp.policies", UP.len()),
        dimension("scaleUp.tolerance", &[0.0, 0.05]),
        dimension(
            "scaleDown.stabilizationWindowSeconds",
            &[60.0, 90.0, 120.0, 180.0, 300.0, 450.0, 600.0, 900.0],
        ),
        table("scaleDown.policies", DOWN.len()),
        dimension("scaleDown.tolerance", &[0.0, 0.05, 0.1, 0.2, 0.3]),
    ]
}

fn slo(scenarios: &[NamedScenario], object: &ScaledObject) -> Vec<Dimension> {
    let dimension = |name, values: &[f64]| Dimension { name, values: sorted(values.to_vec()) };
    let steps: Vec<f64> = (10..=19).map(|step| f64::from(step) / 20.0).collect();
    vec![
        dimension(
            "targetAgeSeconds",
            &[
                1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.5, 10.0, 12.5, 15.0, 20.0, 25.0, 30.0,
                40.0, 50.0, 60.0, 90.0, 120.0,
            ],
        ),
        dimension("headroom", &steps),
        dimension("overprovisioning", OVERPROVISIONING),
        dimension(
            "holdSeconds",
            &[5.0, 10.0, 15.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0],
        ),
        // 0 is none: what the promise leaves.
        dimension(
            "drainSeconds",
            &[0.0, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0],
        ),
        dimension("minReplicaCount", &floors(scenarios, object)),
        dimension("maxReplicaCount", &useful_counts(scenarios, object.max_replicas())),
    ]
}

/// The least threshold keeps some three times the pods that the load needs, from the second
/// of records that is in flight at any time; the slo law may keep as many, and more.
const OVERPROVISIONING: &[f64] = &[1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0];

/// Who tunes knows the load of so many seconds, and may keep pods for some times that load
/// at all times; what comes later is what scaling is for.
const KNOWN_S: f64 = 60.0;
const FLOORS: &[f64] = &[0.5, 1.0, 1.25, 1.5, 2.0];

/// The object's own minimum, one pod, and shares of what the load of the beginning needs.
fn floors(scenarios: &[NamedScenario], object: &ScaledObject) -> Vec<f64> {
    let min = f64::from(object.min_replicas());
    let need = scenarios
        .iter()
        .map(|NamedScenario { scenario, .. }| {
            scenario.load.cumulative(KNOWN_S) / KNOWN_S / scenario.pod.capacity_per_s()
        })
        .fold(0.0, f64::max);
    let most = f64::from(object.max_replicas());
    let floors = FLOORS.iter().map(|share| (share * need).ceil().clamp(min, most));
    sorted([min, min.max(1.0)].into_iter().chain(floors).collect())
}

/// Counts at which `ceil(partitions / n)` drops, from one that carries the highest load,
/// and the object's own maximum.
fn useful_counts(scenarios: &[NamedScenario], max: i32) -> Vec<f64> {
    let partitions = scenarios.iter().map(|n| n.scenario.topic.partitions).min().unwrap_or(1);
    let needed = scenarios
        .iter()
        .map(|named| {
            let peak = crate::plan::peak_rate_per_s(&named.scenario);
            (peak / named.scenario.pod.capacity_per_s()).ceil()
        })
        .fold(1.0, f64::max);
    let mut counts: Vec<f64> = (1..=partitions)
        .map(|share| f64::from(partitions.div_ceil(share)))
        .filter(|count| *count >= needed)
        .collect();
    counts.push(f64::from(max).min(f64::from(partitions)));
    sorted(counts)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values.dedup();
    values
}
