//! Broker, topics and pods of a measurement.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use prometheus_client::registry::Registry;
use tidegate_kafka::{Admin, ConnectionOptions, ProducerOptions};
use tidegate_load::LoadProfile;
use tidegate_load::produce::{Produce, ProduceOptions};
use tidegate_local::EventLog;
use tidegate_local::broker::{Broker, Distribution};
use tidegate_local::pods::{CommandTemplate, PodState, PodView, Supervisor, SupervisorOptions};

use crate::Error;

/// How long an existing cluster gets to answer.
const READY: Duration = Duration::from_secs(10);
/// How often pods are looked at; their reports come every 100 ms.
const TICK: Duration = Duration::from_millis(20);
/// A pod that does not end after this long is killed.
const GRACE: Duration = Duration::from_secs(20);
/// What is measured, and with what.
#[derive(Debug, Clone)]
pub struct Options {
    /// An existing cluster; none is started then.
    pub cluster: Option<ConnectionOptions>,
    /// Partitions of the topics that are created.
    pub partitions: u32,
    /// `tidegate consume` with `{brokers}`, `{topic}`, `{group}`, `{batch_size}` and
    /// `{database}` to be filled in.
    pub consumer: CommandTemplate,
    /// URL of the database; `{name}` is another word for each step.
    pub database: String,
    /// Batch size that the scenario is for.
    pub batch_size: u64,
    /// When a batch closes at the latest, seconds.
    pub batch_timeout_s: f64,
    /// How often Kafka's offsets follow, seconds.
    pub commit_interval_s: f64,
    /// Sizes at which the service curve is measured.
    pub sizes: Vec<u64>,
    /// How long each step is measured.
    pub window: Duration,
    /// An empty directory for broker, databases and logs.
    pub run_dir: PathBuf,
    /// Makes topics and groups unique on the cluster.
    pub name: String,
}

/// The step in which pods join.
pub(crate) const JOINS: &str = "joins";

/// The step of a batch size.
pub(crate) fn batch_step(size: u64) -> String {
    format!("batch{size}")
}

fn topic_name(name: &str, step: &str) -> String {
    format!("{name}-{step}")
}

/// A measurement whose Kafka is ready. Drop it outside a runtime: it then deletes its
/// topics, which blocks.
pub struct Measuring {
    pub(crate) options: Options,
    pub(crate) is_own_broker: bool,
    broker: Option<Broker>,
    pub(crate) connection: ConnectionOptions,
    admin: Admin,
    topics: Vec<String>,
}

impl std::fmt::Debug for Measuring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Measuring")
            .field("bootstrap", &self.connection.brokers)
            .finish_non_exhaustive()
    }
}

impl Measuring {
    /// Finds or starts Kafka. Blocking; call it on the main thread, before the runtime.
    ///
    /// # Errors
    /// One line each; nothing is left running.
    pub fn start(options: Options, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
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
        let admin = Admin::new(&connection)?;
        admin.wait_ready(READY)?;
        let is_own_broker = broker.is_some();
        let mut measuring =
            Self { options, is_own_broker, broker, connection, admin, topics: Vec::new() };
        measuring.create_topics()?;
        Ok(measuring)
    }

    /// All of them before the first step: the admin client blocks.
    fn create_topics(&mut self) -> Result<(), Error> {
        let sizes = self.options.sizes.iter().map(|size| batch_step(*size));
        for step in sizes.chain([JOINS.to_owned()]) {
            let topic = topic_name(&self.options.name, &step);
            self.admin.create_topic(&topic, self.options.partitions as i32, -1, &[])?;
            self.admin.pin_start_offsets(&topic, &topic)?;
            self.topics.push(topic);
        }
        Ok(())
    }

    /// A step's topic with this many records in it; its group begins at its start.
    pub(crate) async fn fill(&self, step: &str, records: u64) -> Result<String, Error> {
        let topic = topic_name(&self.options.name, step);
        if records > 0 {
            let profile = LoadProfile::constant(1.0, None);
            self.send(&topic, profile, Some(records), std::future::pending()).await?;
        }
        Ok(topic)
    }

    /// Sends a constant load until `stop`, and returns when all is acknowledged.
    pub(crate) fn produce(
        &self,
        topic: &str,
        rate_per_s: f64,
        seconds: f64,
        stop: impl Future<Output = ()> + 'static,
    ) -> impl Future<Output = Result<(), Error>> + 'static {
        self.send(topic, LoadProfile::constant(rate_per_s, Some(seconds)), None, stop)
    }

    /// By a profile, or as fast as the client takes them.
    fn send(
        &self,
        topic: &str,
        profile: LoadProfile,
        full_speed: Option<u64>,
        stop: impl Future<Output = ()> + 'static,
    ) -> impl Future<Output = Result<(), Error>> + 'static {
        let options = ProduceOptions {
            connection: self.connection.clone(),
            topic: topic.to_owned(),
            client: ProducerOptions::default(),
            profile,
            full_speed,
            ledger: None,
        };
        let produce = Produce::new(options, &mut Registry::default());
        async move {
            produce.run(stop).await?;
            Ok(())
        }
    }

    /// Pods on a topic; none runs yet.
    pub(crate) fn pods(&self, topic: &str, batch_size: u64) -> Result<Pods, Error> {
        let mut command = self.options.consumer.clone();
        let database = self.options.database.replace("{name}", topic);
        for argument in &mut command.args {
            let value = match argument.to_str() {
                Some("{brokers}") => self.connection.brokers.clone(),
                Some("{topic}" | "{group}") => topic.to_owned(),
                Some("{batch_size}") => batch_size.to_string(),
                Some("{database}") => database.clone(),
                _ => continue,
            };
            *argument = value.into();
        }
        Pods::new(command, &self.options.run_dir, &self.connection, topic)
    }

    /// Deletes what was created, and stops what was started.
    fn finish(&mut self) {
        if !self.is_own_broker {
            for topic in std::mem::take(&mut self.topics) {
                if let Err(error) = self.admin.delete_topic(&topic) {
                    tracing::warn!(topic, %error, "the topic is still there");
                }
            }
        }
        if let Some(broker) = self.broker.take() {
            broker.stop();
        }
    }
}

impl Drop for Measuring {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Pods of one topic.
#[derive(Debug)]
pub(crate) struct Pods {
    supervisor: Supervisor,
    events: EventLog,
    log_dir: PathBuf,
    /// Names of pods that were ready once.
    ready: BTreeSet<String>,
}

impl Pods {
    fn new(
        command: CommandTemplate,
        run_dir: &Path,
        connection: &ConnectionOptions,
        topic: &str,
    ) -> Result<Self, Error> {
        let log_dir = run_dir.join(topic);
        std::fs::create_dir_all(&log_dir)
            .map_err(|source| tidegate_local::Error::File { path: log_dir.clone(), source })?;
        let supervisor = Supervisor::new(SupervisorOptions {
            command,
            pod_start: Duration::ZERO,
            grace_period: GRACE,
            log_dir: log_dir.clone(),
            connection: connection.clone(),
            group: topic.to_owned(),
        });
        supervisor.check_program()?;
        let events = EventLog::create(&log_dir.join("events.jsonl"))?;
        Ok(Self { supervisor, events, log_dir, ready: BTreeSet::new() })
    }

    pub(crate) fn scale(&mut self, pods: usize) {
        self.supervisor.scale(pods, &mut self.events);
    }

    /// Goes on until `done` says so, `limit` at most; says whether it did.
    pub(crate) async fn until(
        &mut self,
        limit: Duration,
        mut done: impl FnMut(&[PodView]) -> bool,
    ) -> bool {
        let deadline = Instant::now() + limit;
        let mut tick = tokio::time::interval(TICK);
        loop {
            if done(&self.supervisor.views()) {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            tokio::select! {
                () = self.supervisor.next(&mut self.events) => {}
                _ = tick.tick() => self.supervisor.tick(&mut self.events),
            }
        }
    }

    /// As [`Self::until`]; too late is an error, and so is a pod that ends before it was
    /// ever ready.
    pub(crate) async fn expect(
        &mut self,
        what: &str,
        limit: Duration,
        mut done: impl FnMut(&[PodView]) -> bool,
    ) -> Result<(), Error> {
        let mut ready = std::mem::take(&mut self.ready);
        let mut ended = None;
        let in_time = self
            .until(limit, |views| {
                ended = ended_early(views, &mut ready);
                ended.is_some() || done(views)
            })
            .await;
        self.ready = ready;
        if let Some(pod) = ended {
            let text = std::fs::read(self.log_dir.join(format!("{pod}.log"))).unwrap_or_default();
            let said = last_lines(&String::from_utf8_lossy(&text));
            return Err(Error::Ended { pod, said, log: self.log_dir.display().to_string() });
        }
        if in_time {
            return Ok(());
        }
        Err(Error::Late {
            what: what.to_owned(),
            limit_s: limit.as_secs(),
            log: self.log_dir.display().to_string(),
        })
    }

    /// Drains all of them.
    pub(crate) async fn stop(mut self) -> Result<(), Error> {
        self.scale(0);
        self.expect("the pods ended", GRACE + Duration::from_secs(5), <[PodView]>::is_empty).await
    }
}

/// A pod that ended by itself and was never ready; keeps the names of those that were.
fn ended_early(views: &[PodView], ready: &mut BTreeSet<String>) -> Option<String> {
    let working = views.iter().filter(|view| view.state == PodState::Ready);
    ready.extend(working.map(|view| view.name.clone()));
    let ended = views.iter().find(|view| view.restarts > 0 && !ready.contains(&view.name));
    ended.map(|view| view.name.clone())
}

/// The end of a log, as one line.
fn last_lines(text: &str) -> String {
    const LINES: usize = 3;
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(LINES)..].join(" / ")
}

impl Drop for Pods {
    fn drop(&mut self) {
        self.supervisor.kill_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_ends_before_it_was_ready_is_told_with_its_last_words() {
        let view = |state, restarts| PodView {
            name: "pod-1".into(),
            state,
            pid: None,
            restarts,
            age_s: 0.0,
            report: None,
        };
        let mut ready = BTreeSet::new();
        assert_eq!(ended_early(&[view(PodState::Starting, 0)], &mut ready), None);
        let ended = ended_early(&[view(PodState::BackingOff, 1)], &mut ready);
        assert_eq!(ended.as_deref(), Some("pod-1"));
        // One that worked may be started again.
        assert_eq!(ended_early(&[view(PodState::Ready, 0)], &mut ready), None);
        assert_eq!(ended_early(&[view(PodState::BackingOff, 1)], &mut ready), None);
        assert_eq!(last_lines("a\nb\n\nc\nd\n"), "b / c / d");
        assert_eq!(last_lines(""), "");
    }
}
