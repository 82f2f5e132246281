//! The event loop, and what it holds.
//!
//! Between two events that concern more than one pod, each pod goes on by itself: first
//! the one, then the next, each up to the time of the event. That is exact, because pods
//! share nothing in between; with a shared sink they do, and go in order of time.
//! A second is no such event unless somebody may look at its row: it is made of counts.
//! Rejected: every batch of every pod in one queue, which cost four times as much.

mod ages;
mod ahead;
mod assign;
mod batches;
mod closing;
mod control;
mod events;
mod faults;
mod group;
mod nodes;
mod partitions;
mod pod;
mod pods;
mod prepared;
mod sample;
mod sink;
mod split;
mod team;
#[cfg(test)]
mod tests;
mod writing;

pub use control::{slo_options, stock_law, through_keda};
pub use prepared::Prepared;
pub use team::{Team, Went};

pub(crate) use ages::Ages;
use ahead::Ahead;
use control::Control;
use events::{Event, Queue, us};
use faults::Troubles;
use group::GroupState;
use nodes::NodePool;
use partitions::Partition;
use pod::Pod;
use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sink::Sink;
use tidegate_autoscale::law::{Facts, Law};
use tidegate_autoscale::series::Second;

use crate::load::{ArrivalCurve, Place};
use crate::scenario::{GroupTimes, Range, Scenario};
use crate::summary::{Counts, SoFar, Summary, Tally};

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
    Prepared::new(scenario, seed).run(law)
}

/// Draws for one purpose do not shift those for another. Batches draw from a hash of pod
/// and batch, so that the order in which pods go on does not matter.
#[derive(Debug, Clone)]
struct Random {
    pods: ChaCha8Rng,
    group: ChaCha8Rng,
    batches: u64,
}

fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    random.set_stream(purpose);
    random
}

fn draw_us(range: Range, random: &mut ChaCha8Rng) -> i64 {
    us(range.min + (range.max - range.min) * random.random::<f64>())
}

/// How often a run is asked whether it should stop, simulated seconds. Pods go ahead of the
/// rows for no longer.
const LOOK_S: u32 = 16;
/// When nothing is planned.
const NEVER_US: i64 = i64::MAX;

/// The simulated world, without its law. Times in microseconds since the start.
#[derive(Debug, Clone)]
struct World<'a> {
    scenario: &'a Scenario,
    times: GroupTimes,
    now_us: i64,
    queue: Queue,
    /// Events that wait for the broker, with their times.
    waiting: Vec<(i64, Event)>,
    random: Random,
    curve: &'a ArrivalCurve,
    ends: &'a [u64],
    partitions: Vec<Partition>,
    /// Where on the curve the oldest record that waits arrived.
    oldest_place: Place,
    /// All pods that ever were; ids are places.
    pods: Vec<Pod>,
    /// Those that are not gone, the oldest first.
    present: Vec<usize>,
    /// Replicas and those that are Ready, while nothing happens to a pod.
    counted: Option<(i32, i32)>,
    /// A batch closes when its first record has waited this long.
    batch_timeout_us: i64,
    /// No pod goes on by itself before.
    next_pod_us: i64,
    sink: Sink,
    group: GroupState,
    nodes: NodePool,
    control: Control,
    facts: Facts,
    troubles: Troubles,
    ages: Ages,
    counts: Counts,
    ahead: Ahead,
    tally: Tally,
    /// Records of the whole run.
    expected: f64,
    /// When the run is asked next whether it should stop.
    look_s: u32,
    keeps_series: bool,
    seconds: Vec<Second>,
    second_ages: Vec<(u64, f64)>,
    /// Arrived and processed until the last second.
    last: (u64, u64),
}

impl<'a> World<'a> {
    fn new(prepared: &'a Prepared<'a>, keeps_series: bool) -> Self {
        let Prepared { scenario, seed, ref partitions, ref curve, ref ends, expected } = *prepared;
        let rows = if keeps_series { scenario.duration_s as usize } else { 0 };
        Self {
            scenario,
            times: scenario.group.times(),
            now_us: 0,
            queue: Queue::default(),
            waiting: Vec::new(),
            random: Random {
                pods: stream(seed, 2),
                group: stream(seed, 3),
                batches: stream(seed, 4).random(),
            },
            curve,
            ends,
            partitions: partitions.clone(),
            oldest_place: Place::default(),
            pods: Vec::new(),
            present: Vec::new(),
            counted: None,
            batch_timeout_us: us(scenario.pod.batch_timeout_s),
            next_pod_us: NEVER_US,
            sink: Sink::new(),
            group: GroupState::default(),
            nodes: NodePool::new(scenario.nodes.clone()),
            control: Control::new(scenario.pod.replicas as i32),
            facts: control::no_facts(),
            troubles: Troubles::none(),
            ages: Ages::new(),
            counts: Counts::default(),
            ahead: Ahead::default(),
            tally: Tally::new(scenario),
            expected,
            look_s: LOOK_S,
            keeps_series,
            seconds: Vec::with_capacity(rows),
            second_ages: Vec::with_capacity(rows),
            last: (0, 0),
        }
    }

    fn start(&mut self, first_due_ms: i64) {
        self.start_with_pods();
        self.plan_faults();
        if us(self.scenario.group.commit_interval_s) > 0 {
            self.queue.push(0, Event::Commit);
        }
        if self.scenario.topic.retention_s > 0.0 {
            self.queue.push(0, Event::Retention);
        }
        if self.scenario.nodes.consolidate_after_s > 0.0 {
            // Between two seconds, so that no row shows a pod that is being replaced.
            self.queue.push(500_000, Event::Consolidate);
        }
        self.last.0 = self.arrived();
        self.queue.push(first_due_ms.max(0) * 1000, Event::Law);
        self.queue.push(1_000_000, Event::Second);
    }

    fn run(mut self, law: &mut dyn Law) -> Run {
        self.start(law.next_due_ms());
        while self.goes_on(law) {}
        self.into_run()
    }

    /// The next event; false when the time is over.
    fn goes_on(&mut self, law: &mut dyn Law) -> bool {
        let Some(event) = self.next_event() else { return false };
        self.handle(event, law);
        true
    }

    /// Goes on to the next event, which is still to be handled; `None` when the time is over.
    fn next_event(&mut self) -> Option<Event> {
        while self.tally.seconds() < self.scenario.duration_s {
            let (at_us, event) = self.queue.pop()?;
            let until_us = if event == Event::Second { self.ahead_until_us() } else { at_us };
            self.pods_until(until_us);
            self.now_us = at_us;
            if !event.needs_broker() || self.troubles.paused_us.is_none() {
                return Some(event);
            }
            self.waiting.push((at_us, event));
        }
        None
    }

    /// Whether the run should stop; asked now and then.
    fn is_stopped(&mut self, stops: &mut dyn FnMut(&SoFar<'_>) -> bool) -> bool {
        if self.tally.seconds() < self.look_s {
            return false;
        }
        self.look_s += LOOK_S;
        stops(&SoFar { tally: &self.tally, ages: &self.ages, expected: self.expected })
    }

    fn into_run(self) -> Run {
        let summary = Summary::new(self.scenario, &self.tally, &self.ages, self.counts);
        Run { seconds: self.seconds, ages: self.second_ages, summary }
    }

    fn handle(&mut self, event: Event, law: &mut dyn Law) {
        if !matches!(event, Event::Law | Event::Second) {
            self.counted = None;
        }
        match event {
            Event::PodJoins(pod) => self.pod_joins(pod),
            Event::PodReady(pod) => self.pods[pod].ready = self.pods[pod].is_alive(),
            Event::PodDrained(pod) => self.pod_drained(pod),
            Event::PodKilled(pod) => self.kill(pod),
            Event::MemberExpires(pod) => self.leave_group(pod),
            Event::Rebalance => self.rebalance(),
            Event::RoundEnds => self.end_round(),
            Event::Assign { partition, claim } => self.assign(partition, claim),
            Event::Law => self.tick_law(law),
            Event::Reconcile => self.reconcile(),
            Event::NodeReady => self.node_ready(),
            Event::NodeExpires { node, stamp } => self.nodes.expire(node, stamp),
            Event::Consolidate => self.consolidate(),
            Event::Commit => self.commit(),
            Event::Retention => self.delete_old_records(),
            Event::Fault => self.faults_change(),
            Event::Crash(pods) => self.crash(pods),
            Event::Second => self.sample(law),
        }
    }

    fn after(&mut self, delay_us: i64, event: Event) {
        self.queue.push(self.now_us + delay_us, event);
    }
}
