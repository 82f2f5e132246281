//! The event loop, and what it holds.

mod ages;
mod assign;
mod batches;
mod control;
mod events;
mod group;
mod nodes;
mod partitions;
mod pods;
mod sample;
#[cfg(test)]
mod tests;

pub use control::{slo_options, stock_law};

pub(crate) use ages::Ages;
use control::Control;
use events::{Event, Queue, us};
use group::GroupState;
use nodes::NodePool;
use partitions::Partition;
use pods::Pod;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tidegate_autoscale::law::Law;
use tidegate_autoscale::series::Second;

use crate::load::{ArrivalCurve, partition_weights};
use crate::scenario::{Fault, GroupTimes, Range, Scenario};
use crate::summary::{Counts, Summary};

/// What a simulation gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// State at the end of every second, and the rates in it.
    pub seconds: Vec<Second>,
    /// Records processed in every second, and the sum of their ages when they were
    /// written, seconds.
    pub ages: Vec<(u64, f64)>,
    /// What it was worth.
    pub summary: Summary,
}

impl Run {
    /// Mean age of the records processed in the last `window_s` seconds until a second, as
    /// a dashboard shows it; `None` without any.
    pub fn mean_age_s(&self, until_s: usize, window_s: usize) -> Option<f64> {
        let until = until_s.min(self.ages.len());
        let window = &self.ages[until.saturating_sub(window_s)..until];
        let records: u64 = window.iter().map(|(records, _)| records).sum();
        let sum_s: f64 = window.iter().map(|(_, sum_s)| sum_s).sum();
        (records > 0).then(|| sum_s / records as f64)
    }
}

/// Runs a scenario under a law.
pub fn simulate(scenario: &Scenario, seed: u64, law: &mut dyn Law) -> Run {
    let mut world = World::new(scenario, seed, law);
    world.start();
    world.run()
}

/// Draws for one purpose do not shift those for another.
#[derive(Debug)]
struct Random {
    pods: ChaCha8Rng,
    group: ChaCha8Rng,
    batches: ChaCha8Rng,
}

fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose);
    random
}

fn draw_us(range: Range, random: &mut ChaCha8Rng) -> i64 {
    us(range.min + (range.max - range.min) * random.random::<f64>())
}

/// The simulated world. Times in microseconds since the start.
struct World<'a> {
    scenario: &'a Scenario,
    times: GroupTimes,
    law: &'a mut dyn Law,
    now_us: i64,
    queue: Queue,
    random: Random,
    curve: ArrivalCurve,
    partitions: Vec<Partition>,
    pods: Vec<Pod>,
    group: GroupState,
    nodes: NodePool,
    control: Control,
    ages: Ages,
    counts: Counts,
    seconds: Vec<Second>,
    second_ages: Vec<(u64, f64)>,
    /// Arrived and processed until the last second.
    last: (u64, u64),
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, seed: u64, law: &'a mut dyn Law) -> Self {
        let weights = partition_weights(&scenario.topic, &scenario.load);
        let mut arrivals = stream(seed.wrapping_add(scenario.load.seed), 1);
        let before = (f64::from(scenario.topic.backlog_records), us(scenario.topic.backlog_age_s));
        let duration_us = us(f64::from(scenario.duration_s));
        Self {
            scenario,
            times: scenario.group.times(),
            law,
            now_us: 0,
            queue: Queue::default(),
            random: Random {
                pods: stream(seed, 2),
                group: stream(seed, 3),
                batches: stream(seed, 4),
            },
            curve: ArrivalCurve::new(&scenario.load, duration_us, before, &mut arrivals),
            partitions: weights
                .into_iter()
                .enumerate()
                .map(|(index, weight)| Partition::new(index, weight))
                .collect(),
            pods: Vec::new(),
            group: GroupState::default(),
            nodes: NodePool::new(scenario.nodes.clone()),
            control: Control::new(scenario.pod.replicas as i32),
            ages: Ages::new(),
            counts: Counts::default(),
            seconds: Vec::with_capacity(scenario.duration_s as usize),
            second_ages: Vec::with_capacity(scenario.duration_s as usize),
            last: (0, 0),
        }
    }

    fn start(&mut self) {
        self.start_with_pods();
        for fault in &self.scenario.faults {
            if let Fault::PodCrash { at_s, pods } = *fault {
                self.queue.push(us(at_s), Event::Crash(pods));
            }
        }
        if us(self.scenario.group.commit_interval_s) > 0 {
            self.queue.push(0, Event::Commit);
        }
        self.last.0 = self.arrived();
        self.queue.push(self.law.next_due_ms().max(0) * 1000, Event::Law);
        self.queue.push(1_000_000, Event::Second);
    }

    fn run(mut self) -> Run {
        while self.seconds.len() < self.scenario.duration_s as usize {
            let Some((at_us, event)) = self.queue.pop() else { break };
            self.now_us = at_us;
            self.handle(event);
        }
        let summary = Summary::new(self.scenario, &self.seconds, &self.ages, self.counts);
        Run { seconds: self.seconds, ages: self.second_ages, summary }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::PodJoins(pod) => self.pod_joins(pod),
            Event::PodReady(pod) => self.pods[pod].ready = self.pods[pod].is_alive(),
            Event::PodKilled(pod) => self.kill(pod),
            Event::MemberExpires(pod) => self.leave_group(pod),
            Event::Wake { pod, token, close } if self.pods[pod].token == token => {
                self.try_start_batch(pod, close);
            }
            Event::BatchEnds { pod, token } if self.pods[pod].token == token => {
                self.end_batch(pod);
            }
            Event::Wake { .. } | Event::BatchEnds { .. } => {}
            Event::Rebalance => self.rebalance(),
            Event::RoundEnds => self.end_round(),
            Event::Assign { partition, claim } => self.assign(partition, claim),
            Event::Law => self.tick_law(),
            Event::Reconcile => self.reconcile(),
            Event::NodeReady => self.node_ready(),
            Event::NodeExpires { node, stamp } => self.nodes.expire(node, stamp),
            Event::Commit => self.commit(),
            Event::Crash(pods) => self.crash(pods),
            Event::Second => self.sample(),
        }
    }

    fn after(&mut self, delay_us: i64, event: Event) {
        self.queue.push(self.now_us + delay_us, event);
    }
}
