//! The loop of a world.

use std::path::Path;
use std::time::{Duration, Instant};

use tidegate_kafka::{Admin, ConnectionOptions, TopicCreation};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{MissedTickBehavior, interval};

use super::meter::Meter;
use super::producer::ProducerChild;
use super::state::{HpaState, ProcessState, WorldState};
use super::{Snapshot, WorldOptions};
use crate::broker::{Broker, Distribution};
use crate::controller::{Law, LawReplicas, Observer};
use crate::events::{Event, EventLog};
use crate::pods::{CommandTemplate, PodState, Supervisor, SupervisorOptions};
use crate::report::{Inputs, WorldReport};
use crate::series::Second;
use crate::{Error, clock};

const SECOND: Duration = Duration::from_secs(1);
/// How often pods are looked at between the seconds.
const POD_TICK: Duration = Duration::from_millis(100);
/// How long an existing cluster gets to answer.
const EXTERNAL_READY: Duration = Duration::from_secs(8);

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

/// A world whose Kafka is ready.
#[derive(Debug)]
pub struct World {
    options: WorldOptions,
    broker: Option<Broker>,
    connection: ConnectionOptions,
    partitions: u32,
    began: Instant,
    created_at_ms: i64,
}

impl World {
    /// Finds or starts Kafka, creates the topic, pins the group's start offsets.
    /// Blocking; call it on the main thread. `say` gets a line before anything slow.
    ///
    /// # Errors
    /// One line each; nothing is left running.
    pub fn start(options: WorldOptions, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let began = Instant::now();
        let (broker, connection) = match &options.cluster {
            Some(cluster) => (None, cluster.clone()),
            None => {
                let distribution = Distribution::find(say)?;
                say("starting Kafka");
                let broker = Broker::start(&distribution, &options.run_dir.join("kafka"))?;
                let connection = ConnectionOptions::new(broker.bootstrap());
                (Some(broker), connection)
            }
        };
        let bootstrap = &connection.brokers;
        let admin = Admin::new(&connection)?;
        admin.wait_ready(EXTERNAL_READY)?;
        let partitions =
            match admin.create_topic(&options.topic, options.partitions as i32, -1, &[])? {
                TopicCreation::Created => options.partitions,
                TopicCreation::Exists { partitions } => partitions as u32,
            };
        let pinned = admin.pin_start_offsets(&options.group, &options.topic)?;
        say(&format!(
            "Kafka at {bootstrap}, topic {} with {partitions} partitions, start offsets of {} pinned ({} new)",
            options.topic,
            options.group,
            pinned.len()
        ));
        Ok(Self { options, broker, connection, partitions, began, created_at_ms: clock::now_ms() })
    }

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

    fn record(&mut self, elapsed_s: f64, load_over: bool) -> Result<(), Error> {
        let views = self.pods.views();
        let second = Second {
            t_s: elapsed_s.round() as u64,
            lag_metric: self.meter.lag_records(),
            replicas_desired: self.spec_replicas,
            replicas_current: self.pods.replicas() as i32,
            pods_ready: self.pods.ready() as i32,
            nodes: 1,
            reason: self.why.clone(),
            ..self.meter.rates()
        };
        self.meter.push(second.clone());
        let rates = self.meter.rates();
        let phase = match (self.stopping, self.producer.is_over(), load_over) {
            (true, _, _) => "stopping",
            (false, false, _) => "load",
            (false, true, false) => "working off the backlog",
            (false, true, true) => "waiting for zero pods",
        };
        (self.watch)(&Snapshot {
            elapsed_s,
            target_rate_per_s: (!self.producer.is_over())
                .then_some(self.producer.report.target_rate_per_s),
            rate_in_per_s: rates.arrival_per_s,
            rate_out_per_s: rates.processed_per_s,
            lag_records: rates.backlog,
            oldest_age_s: rates.oldest_age_s,
            desired: self.spec_replicas,
            current: self.pods.replicas() as i32,
            ready: self.pods.ready() as i32,
            draining: views.iter().filter(|pod| pod.state == PodState::Draining).count() as i32,
            sent: self.producer.report.acked,
            processed: self.meter.processed(),
            last_change: self.last_change.clone(),
            phase,
            second,
        });
        self.state(views).write(&self.world.options.run_dir)
    }

    fn state(&self, pods: Vec<crate::pods::PodView>) -> WorldState {
        let own = crate::process::Identity::current();
        WorldState {
            up: ProcessState { pid: own.pid, start_ticks: own.start_ticks },
            created_at_ms: self.world.created_at_ms,
            load_started_at_ms: self.load_began_ms,
            bootstrap: self.world.connection.brokers.clone(),
            topic: self.world.options.topic.clone(),
            group: self.world.options.group.clone(),
            broker: self.world.broker.as_ref().and_then(|broker| ProcessState::of(broker.pid())),
            producer: self.producer.pid().and_then(ProcessState::of),
            pods,
            hpa: self.hpa(),
        }
    }

    fn hpa(&self) -> Option<HpaState> {
        let view = self.law.hpa_view()?;
        Some(HpaState {
            name: view.name,
            reference: view.reference,
            targets: view.targets,
            min_replicas: view.min,
            max_replicas: view.max,
            replicas: self.pods.replicas() as i32,
        })
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
        remove_state(&self.world.options.run_dir);
        WorldEnd { report, seconds, killed: false }
    }
}

/// A world that ended properly has nothing to clean up.
fn remove_state(run_dir: &Path) {
    let _ = std::fs::rename(run_dir.join("world.json"), run_dir.join("world-ended.json"));
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
