//! A fluid world: partitions with a first-in-first-out backlog, pods that start late
//! and share their rate among their partitions, a standstill at every rebalance.
//! Steps of a tenth of a second; offsets are committed once a second.

use std::collections::VecDeque;
use std::fmt;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson};
use tidegate_autoscale::lag::PartitionOffsets;
use tidegate_autoscale::law::{Decision, Facts, Law};

const STEP_S: f64 = 0.1;
const STEPS_A_SECOND: u64 = 10;

#[derive(Debug, Clone, Copy)]
pub(crate) struct WorldOptions {
    pub(crate) partitions: usize,
    pub(crate) pod_rate_per_s: f64,
    pub(crate) pod_start_s: f64,
    pub(crate) rebalance_s: f64,
    pub(crate) first_pods: i32,
    pub(crate) poisson: bool,
    pub(crate) seed: u64,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            partitions: 24,
            pod_rate_per_s: 500.0,
            pod_start_s: 1.0,
            rebalance_s: 0.5,
            first_pods: 1,
            poisson: false,
            seed: 1,
        }
    }
}

/// Records that arrived within one step, oldest first.
#[derive(Debug, Default)]
struct Partition {
    waiting: VecDeque<(f64, f64)>,
    arrived: f64,
    done: f64,
    committed: i64,
}

impl Partition {
    fn backlog(&self) -> f64 {
        self.arrived - self.done
    }

    fn work(&mut self, mut records: f64) {
        self.done += records;
        while records > 1e-9 {
            let Some((_, left)) = self.waiting.front_mut() else { return };
            let taken = left.min(records);
            *left -= taken;
            records -= taken;
            if *left <= 1e-9 {
                self.waiting.pop_front();
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct World {
    options: WorldOptions,
    partitions: Vec<Partition>,
    /// When each pod is ready, seconds.
    pods: Vec<f64>,
    spec: i32,
    ready: usize,
    stalled_until_s: f64,
    step: u64,
    random: ChaCha8Rng,
}

#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) max_age_s: f64,
    pub(crate) pod_seconds: f64,
    pub(crate) peak: i32,
    pub(crate) reversals: u32,
    pub(crate) ups_after_downs: u32,
    pub(crate) changes: Vec<(f64, i32)>,
    pub(crate) last_decision: Option<Decision>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "max age {:.1} s, {:.0} pod-seconds, peak {}, {} changes, {} reversals",
            self.max_age_s,
            self.pod_seconds,
            self.peak,
            self.changes.len(),
            self.reversals
        )
    }
}

impl World {
    pub(crate) fn new(options: WorldOptions) -> Self {
        Self {
            partitions: (0..options.partitions).map(|_| Partition::default()).collect(),
            pods: vec![0.0; options.first_pods as usize],
            spec: options.first_pods,
            ready: options.first_pods as usize,
            stalled_until_s: 0.0,
            step: 0,
            random: ChaCha8Rng::seed_from_u64(options.seed),
            options,
        }
    }

    pub(crate) fn spec(&self) -> i32 {
        self.spec
    }

    pub(crate) fn now_ms(&self) -> i64 {
        (self.now_s() * 1000.0).round() as i64
    }

    fn now_s(&self) -> f64 {
        self.step as f64 * STEP_S
    }

    pub(crate) fn run(
        &mut self,
        law: &mut dyn Law,
        for_s: f64,
        rate: impl Fn(f64) -> f64,
    ) -> Figures {
        let mut figures = Figures::default();
        let mut direction = 0;
        for _ in 0..(for_s / STEP_S).round() as u64 {
            self.advance(rate(self.now_s()));
            figures.max_age_s = figures.max_age_s.max(self.oldest_age_s());
            figures.pod_seconds += self.pods.len() as f64 * STEP_S;
            figures.peak = figures.peak.max(self.spec);
            if self.step.is_multiple_of(STEPS_A_SECOND) {
                let before = self.spec;
                figures.last_decision = self.decide(law).or(figures.last_decision);
                let change = (self.spec - before).signum();
                if change != 0 {
                    figures.changes.push((self.now_s(), self.spec));
                    figures.reversals += u32::from(direction != 0 && direction != change);
                    figures.ups_after_downs += u32::from(direction < 0 && change > 0);
                    direction = change;
                }
            }
        }
        figures
    }

    fn advance(&mut self, rate_per_s: f64) {
        self.step += 1;
        let now_s = self.now_s();
        let each = rate_per_s * STEP_S / self.options.partitions as f64;
        for partition in &mut self.partitions {
            let records = match Poisson::new(each) {
                Ok(poisson) if self.options.poisson => poisson.sample(&mut self.random),
                _ => each,
            };
            partition.arrived += records;
            if records > 0.0 {
                partition.waiting.push_back((now_s - STEP_S / 2.0, records));
            }
        }
        let ready = self.pods.iter().filter(|ready_s| **ready_s <= now_s).count();
        if ready != self.ready {
            self.ready = ready;
            self.stalled_until_s = now_s + self.options.rebalance_s;
        }
        if now_s >= self.stalled_until_s && ready > 0 {
            self.work(ready);
        }
        if self.step.is_multiple_of(STEPS_A_SECOND) {
            for partition in &mut self.partitions {
                partition.committed = (partition.done + 1e-6) as i64;
            }
        }
    }

    /// A pod gives each of its partitions an even part, and what one leaves to the others.
    fn work(&mut self, ready: usize) {
        for pod in 0..ready.min(self.partitions.len()) {
            let mut capacity = self.options.pod_rate_per_s * STEP_S;
            let mut own: Vec<usize> = (pod..self.partitions.len()).step_by(ready).collect();
            own.sort_by(|a, b| {
                self.partitions[*a].backlog().total_cmp(&self.partitions[*b].backlog())
            });
            for (index, partition) in own.iter().enumerate() {
                let part = capacity / (own.len() - index) as f64;
                let records = self.partitions[*partition].backlog().min(part);
                self.partitions[*partition].work(records);
                capacity -= records;
            }
        }
    }

    fn oldest_age_s(&self) -> f64 {
        let oldest = self
            .partitions
            .iter()
            .filter_map(|partition| partition.waiting.front())
            .map(|(at_s, _)| *at_s)
            .fold(f64::MAX, f64::min);
        (self.now_s() - oldest).max(0.0)
    }

    fn decide(&mut self, law: &mut dyn Law) -> Option<Decision> {
        let offsets = self
            .partitions
            .iter()
            .enumerate()
            .map(|(index, partition)| PartitionOffsets {
                partition: index as i32,
                committed: Some(partition.committed),
                end: Some((partition.arrived + 1e-6) as i64),
            })
            .collect();
        let facts = Facts {
            spec_replicas: self.spec,
            status_replicas: self.pods.len() as i32,
            ready_replicas: self.ready as i32,
            offsets: Ok(offsets),
            sink: None,
        };
        let decisions = law.tick(self.now_ms(), &facts);
        for decision in &decisions {
            self.spec = decision.to;
        }
        let ready_s = self.now_s() + self.options.pod_start_s;
        self.pods.resize(self.spec.max(0) as usize, ready_s);
        decisions.into_iter().last()
    }
}
