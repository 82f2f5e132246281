//! The loop of a world: pods, producer, facts and the law, from the load's beginning to the end.

mod record;

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

use super::meter::Meter;
use super::producer::ProducerChild;
use super::{Snapshot, World, WorldState};
use crate::controller::{Law, LawReplicas, Observer};
use crate::events::{Event, EventLog};
use crate::pods::{CommandTemplate, Supervisor, SupervisorOptions};
use crate::report::{Inputs, WorldReport};
use crate::series::Second;
use crate::{Error, clock};

const SECOND: Duration = Duration::from_secs(1);
/// How often pods are looked at between the seconds.
const POD_TICK: Duration = Duration::from_millis(100);

/// How urgently a world is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopLevel {
    /// Stop the load, drain the pods, end.
    Drain,
    /// Kill everything now.
    Now,
}

/// How a world ended.
#[derive(Debug)]
pub struct WorldEnd {
    /// Figures.
    pub report: WorldReport,
    /// Second by second.
    pub seconds: Vec<Second>,
    /// True when it was told to stop at once.
    pub killed: bool,
}

impl World {
    /// Runs to the end. `watch` is called once a second.
    ///
    /// # Errors
    /// When Kafka or the producer ends by itself; everything is stopped then.
    pub async fn run(
        self,
        mut stop: UnboundedReceiver<StopLevel>,
        watch: impl FnMut(&Snapshot),
    ) -> Result<WorldEnd, Error> {
        let mut running = Running::new(self, watch)?;
        let outcome = running.drive(&mut stop).await;
        match outcome {
            Ok(Ending::Completed) => Ok(running.finish(true)),
            Ok(Ending::Drained) => Ok(running.finish(false)),
            Ok(Ending::Killed) => {
                running.kill_everything();
                let mut end = running.finish(false);
                end.killed = true;
                Ok(end)
            }
            Err(error) => {
                running.kill_everything();
                Err(error)
            }
        }
    }
}

enum Ending {
    Completed,
    Drained,
    Killed,
}

struct Running<W> {
    world: World,
    watch: W,
    law: Law,
    pods: Supervisor,
    producer: ProducerChild,
    observer: Observer,
    meter: Meter,
    events: EventLog,
    decisions: EventLog,
    load_began: Instant,
    load_began_ms: i64,
    spec_replicas: i32,
    last_change: Option<(f64, String)>,
    why: String,
    stopping: bool,
    awaiting_facts: bool,
}

impl<W: FnMut(&Snapshot)> Running<W> {
    fn new(world: World, watch: W) -> Result<Self, Error> {
        let options = &world.options;
        let dir = &options.run_dir;
        let logs = dir.join("pods");
        std::fs::create_dir_all(&logs).map_err(Error::file(&logs))?;
        let pods = Supervisor::new(SupervisorOptions {
            command: with_brokers(&options.consumer, &world.connection.brokers),
            pod_start: options.pod_start,
            grace_period: options.grace_period,
            log_dir: logs,
            connection: world.connection.clone(),
            group: options.group.clone(),
        });
        pods.check_program()?;
        let observer = Observer::start(&world.connection, &options.group, &options.topic)?;
        let events = EventLog::create(&dir.join("events.jsonl"))?;
        let decisions = EventLog::create(&dir.join("decisions.jsonl"))?;
        let producer = ProducerChild::spawn(
            &with_brokers(&options.producer, &world.connection.brokers),
            dir.join("producer.log"),
        )?;
        let now_ms = clock::now_ms();
        Ok(Self {
            law: options.law.start(now_ms)?,
            pods,
            producer,
            observer,
            meter: Meter::new(world.began),
            events,
            decisions,
            load_began: Instant::now(),
            load_began_ms: now_ms,
            spec_replicas: 0,
            last_change: None,
            why: String::new(),
            stopping: false,
            awaiting_facts: false,
            world,
            watch,
        })
    }

    async fn drive(&mut self, stop: &mut UnboundedReceiver<StopLevel>) -> Result<Ending, Error> {
        let mut second = interval(SECOND);
        let mut pod_tick = interval(POD_TICK);
        for timer in [&mut second, &mut pod_tick] {
            timer.set_missed_tick_behavior(MissedTickBehavior::Skip);
        }
        loop {
            tokio::select! {
                _ = second.tick() => {
                    // Kafka did not answer within the second: go on with what is known.
                    if std::mem::replace(&mut self.awaiting_facts, true)
                        && let Some(ending) = self.on_second()?
                    {
                        return Ok(ending);
                    }
                    self.observer.ask();
                }
                () = self.observer.changed() => {
                    self.awaiting_facts = false;
                    if let Some(ending) = self.on_second()? {
                        return Ok(ending);
                    }
                }
                _ = pod_tick.tick() => self.pods.tick(&mut self.events),
                () = self.pods.next(&mut self.events) => {}
                event = self.producer.next() => event?,
                Some(level) = stop.recv() => match level {
                    StopLevel::Drain => self.begin_stopping(),
                    StopLevel::Now => return Ok(Ending::Killed),
                },
            }
            if self.stopping && self.producer.is_over() && self.pods.is_empty() {
                return Ok(Ending::Drained);
            }
        }
    }

    fn begin_stopping(&mut self) {
        self.stopping = true;
        self.producer.terminate();
        self.scale(0, "told to stop");
    }

    fn on_second(&mut self) -> Result<Option<Ending>, Error> {
        if let Some(broker) = &mut self.world.broker {
            broker.check()?;
        }
        let facts = self.observer.facts();
        let elapsed_s = self.load_began.elapsed().as_secs_f64();
        self.meter.observe(facts.as_ref(), &self.pods.views());
        let load_over = self.producer.is_over() && self.meter.backlog_is_gone();
        if !self.stopping {
            let replicas = LawReplicas {
                spec: self.spec_replicas,
                status: self.pods.replicas() as i32,
                ready: self.pods.ready() as i32,
                sink: self.pods.sink(),
            };
            let decided =
                self.law.decide(clock::now_ms(), elapsed_s, replicas, facts.as_ref(), load_over);
            for decision in &decided.decisions {
                self.decisions.write(decision);
            }
            self.scale(decided.replicas, &decided.why);
            if !decided.why.is_empty() {
                self.why = decided.why;
            }
        }
        self.record(elapsed_s, load_over)?;
        let at_rest = if self.world.options.law.resting_replicas() > 0 {
            self.pods.replicas() as i32 <= self.world.options.law.resting_replicas()
        } else {
            self.pods.is_empty()
        };
        Ok((load_over && at_rest && !self.stopping).then_some(Ending::Completed))
    }

    fn scale(&mut self, wanted: i32, why: &str) {
        if wanted != self.spec_replicas {
            let detail = format!("{} -> {wanted}: {why}", self.spec_replicas);
            self.events.write(&Event::pod("scaled", "trade-tx-consumer").detail(detail.clone()));
            self.last_change = Some((self.load_began.elapsed().as_secs_f64(), detail));
            self.spec_replicas = wanted;
        }
        self.pods.scale(usize::try_from(wanted).unwrap_or(0), &mut self.events);
    }

    fn kill_everything(&mut self) {
        self.pods.kill_all();
        self.producer.kill();
        if let Some(broker) = &mut self.world.broker {
            broker.kill();
        }
    }

    fn finish(self, completed: bool) -> WorldEnd {
        let seconds = self.meter.seconds();
        let report = WorldReport::new(Inputs {
            seconds,
            partitions: self.world.partitions,
            pod_capacity_per_s: self.world.options.pod_capacity_per_s,
            first_stored_after_s: self.meter.first_processed_after_s(),
            totals: self.pods.totals(),
            completed,
        });
        let seconds = seconds.to_vec();
        if let Some(broker) = self.world.broker {
            broker.stop();
        }
        WorldState::put_away(&self.world.options.run_dir);
        WorldEnd { report, seconds, killed: false }
    }
}

fn with_brokers(template: &CommandTemplate, brokers: &str) -> CommandTemplate {
    let mut command = template.clone();
    for argument in &mut command.args {
        if argument == "{brokers}" {
            *argument = brokers.into();
        }
    }
    command
}
