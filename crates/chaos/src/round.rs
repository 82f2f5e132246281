//! One round: load, pods, faults; then quiet, a drain and the audit.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::check::check;
use crate::faults::{World, apply, drained};
use crate::load::{Load, Sent};
use crate::main_thread::MainThread;
use crate::plan::{Limits, Planned, Round, SinkKind};
use crate::pods::Pods;
use crate::servers::Servers;
use crate::stop::Stop;
use crate::store::Store;
use crate::trace::Trace;

/// From the first process to the first stored record.
const START_LIMIT: Duration = Duration::from_secs(60);
/// From the last healed fault to the last stored record. Half-open connections are
/// not healed: peers find out within a few seconds.
const RECOVERY_LIMIT: Duration = Duration::from_secs(60);

/// What a run is made of.
pub(crate) struct Suite {
    pub(crate) stop: Stop,
    pub(crate) main: MainThread,
    pub(crate) servers: Servers,
    /// The binary under test.
    pub(crate) tidegate: PathBuf,
    pub(crate) directory: PathBuf,
    pub(crate) limits: Limits,
}

impl Suite {
    /// Runs a round; the answer is its result, also when something was found.
    pub(crate) fn run(&self, round: &Round, trace: &Arc<Trace>) -> anyhow::Result<Value> {
        let began = Instant::now();
        let name = format!("chaos_{}", round.number);
        let directory = self.directory.join(&name);
        std::fs::create_dir_all(&directory)?;
        let store = self.store(round, &name, &directory)?;
        let admin = self.servers.admin()?;
        admin.create_topic(&name, round.partitions, 1, &[])?;
        let pods = self.pods(round, &name, &store, &directory)?;
        let brokers = self.servers.brokers();
        let load = Load::start(&self.main, &self.tidegate, &brokers, &name, round, &directory)?;
        let world =
            Arc::new(World { stop: self.stop.clone(), servers: self.servers.clone(), pods, store });
        let mut result = self.faults_and_check(round, &world, load, trace)?;
        result["wall_ms"] = json!(began.elapsed().as_millis() as u64);
        self.servers.kafka.bury_half_open();
        self.servers.database.bury_half_open();
        if self.stop.finding().is_none() {
            drop(world);
            self.tidy(&name, &admin, &directory);
        }
        Ok(result)
    }

    fn faults_and_check(
        &self,
        round: &Round,
        world: &Arc<World>,
        mut load: Load,
        trace: &Arc<Trace>,
    ) -> anyhow::Result<Value> {
        for _ in 0..round.pods {
            world.pods.start()?;
        }
        let flowing =
            || world.store.positions().ok().filter(|positions| !positions.is_empty()).map(drop);
        if self.stop.wait(START_LIMIT, flowing).is_none() && !self.stop.is_set() {
            self.stop.found("nothing was stored before the first fault");
        }
        self.faults(round, world, &mut load, trace)?;
        let quiet = Instant::now();
        load.finish(&self.stop)?;
        let mut result = json!({
            "round": round.number, "protocol": round.protocol, "sink": round.sink,
            "rate_per_s": round.rate_per_s, "batch_size": round.batch_size, "connections": round.connections,
            "upsert": round.upsert,
            "write_ms": round.write_ms, "pods_at_start": round.pods, "pods_at_end": world.pods.all().len(),
        });
        if self.stop.is_set() {
            return Ok(result);
        }
        let sent = Sent::read(&load.ledger)?;
        self.wait_drained(world, &sent);
        result["recovery_ms"] = json!(quiet.elapsed().as_millis() as u64);
        self.wait_settled(world, round.partitions);
        result["fenced"] = json!(world.pods.fenced());
        result["pods_started"] = json!(world.pods.started());
        self.end_pods(world);
        if !self.stop.is_interrupted() {
            let verdict = check(&self.tidegate, &load.ledger, &sent, &world.store)?;
            result["audit"] = verdict.audit;
            if !verdict.broken.is_empty() {
                result["broken"] = json!(verdict.broken);
                self.stop.found(verdict.broken.join("; "));
            }
        }
        Ok(result)
    }

    /// Lets every fault happen at its time, and waits until all are over.
    fn faults(
        &self,
        round: &Round,
        world: &Arc<World>,
        load: &mut Load,
        trace: &Arc<Trace>,
    ) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut threads = Vec::new();
        for planned in &round.faults {
            let at = began + Duration::from_millis(planned.at_ms);
            while Instant::now() < at && !self.stop.is_set() {
                self.watch(world, load)?;
                self.stop.sleep(Duration::from_millis(50).min(at - Instant::now().min(at)));
            }
            if self.stop.is_set() {
                break;
            }
            threads.push(spawn_fault(round, *planned, world, trace, began)?);
        }
        while threads.iter().any(|thread| !thread.is_finished()) {
            self.watch(world, load)?;
            std::thread::sleep(Duration::from_millis(20));
        }
        for thread in threads {
            thread.join().map_err(|_| anyhow::anyhow!("a fault's thread panicked"))??;
        }
        Ok(())
    }

    /// Nobody may end who was not told to.
    fn watch(&self, world: &World, load: &mut Load) -> anyhow::Result<()> {
        if let Some(what) = world.pods.unexpected_end() {
            self.stop.found(what);
        }
        load.check()
    }

    /// Everything that was acknowledged is behind the positions.
    fn wait_drained(&self, world: &World, sent: &Sent) {
        let mut behind = BTreeMap::new();
        let drained = self.stop.wait(RECOVERY_LIMIT, || {
            self.note_ends(world);
            let positions = world.store.positions().ok()?;
            behind = sent
                .ends
                .iter()
                .filter_map(|(p, end)| {
                    let next = positions.get(p).copied().unwrap_or(0);
                    (next < *end).then_some((*p, end - next))
                })
                .collect();
            behind.is_empty().then_some(())
        });
        if drained.is_none() && !self.stop.is_set() {
            let records: i64 = behind.values().sum();
            self.stop.found(format!(
                "{} s after the last fault {records} records of partitions {:?} are not stored",
                RECOVERY_LIMIT.as_secs(),
                behind.keys().collect::<Vec<_>>()
            ));
        }
    }

    /// Every pod is ready, and each partition has one owner.
    fn wait_settled(&self, world: &World, partitions: i32) {
        let mut odd = String::new();
        let settled = self.stop.wait(RECOVERY_LIMIT, || {
            self.note_ends(world);
            let reports: Vec<_> =
                world.pods.all().iter().map(|pod| (pod.name.clone(), pod.report())).collect();
            let not_ready = reports
                .iter()
                .filter(|(_, report)| report.as_ref().is_none_or(|report| !report.ready));
            let not_ready: Vec<&String> = not_ready.map(|(name, _)| name).collect();
            let mut owned: Vec<i32> = reports
                .iter()
                .filter_map(|(_, report)| report.as_ref())
                .flat_map(|report| report.assigned.iter().copied())
                .collect();
            owned.sort_unstable();
            odd = format!("not ready: {not_ready:?}, owned: {owned:?}");
            (not_ready.is_empty() && owned == (0..partitions).collect::<Vec<_>>()).then_some(())
        });
        if settled.is_none() && !self.stop.is_set() {
            self.stop.found(format!("the group does not settle: {odd}"));
        }
    }

    fn note_ends(&self, world: &World) {
        if let Some(what) = world.pods.unexpected_end() {
            self.stop.found(what);
        }
        if let Err(error) = self.servers.check_broker() {
            self.stop.found(error.to_string());
        }
    }

    fn end_pods(&self, world: &World) {
        let pods = world.pods.all();
        pods.iter().for_each(|pod| pod.signal(rustix::process::Signal::TERM));
        for pod in pods {
            drained(world, &pod, true);
        }
    }

    fn store(&self, round: &Round, name: &str, directory: &Path) -> anyhow::Result<Store> {
        match round.sink {
            SinkKind::Sqlite => Ok(Store::Sqlite { path: directory.join("trades.db") }),
            SinkKind::Postgres => {
                let psql = self.servers.psql().clone();
                psql.psql("postgres", &format!("CREATE DATABASE {name}"))?;
                Ok(Store::Postgres {
                    psql,
                    database: name.to_owned(),
                    proxy_port: self.servers.database.port(),
                    port: self.servers.postgres_port(),
                    mapping: round.upsert.then(|| directory.join("mapping.toml")),
                })
            }
        }
    }

    fn pods(
        &self,
        round: &Round,
        name: &str,
        store: &Store,
        directory: &Path,
    ) -> anyhow::Result<Pods> {
        let config = directory.join("consume.toml");
        std::fs::write(&config, config_text(round, &self.limits)).context("consume.toml")?;
        let text = |text: &str| text.to_owned();
        let mut arguments = vec![
            text("consume"),
            text("--report"),
            format!("--config={}", config.display()),
            format!("--brokers={}", self.servers.brokers()),
            format!("--topic={name}"),
            format!("--group={name}"),
            format!("--database={}", store.pods_url()),
            format!("--protocol={}", round.protocol.name()),
            format!("--batch-size={}", batch_size(round)),
            format!("--batch-processing-time={}", f64::from(round.write_ms) / 1_000.0),
            text("--metrics-addr=off"),
            text("--kafka-config=socket.timeout.ms=5000"),
        ];
        if let Some(mapping) = store.mapping() {
            std::fs::write(mapping, upsert_mapping()).context("mapping.toml")?;
            arguments.push(format!("--mapping={}", mapping.display()));
        }
        Pods::new(self.main.clone(), &self.tidegate, arguments, directory.join("pods"))
    }

    /// What a good round leaves behind is of no use.
    fn tidy(&self, name: &str, admin: &tidegate_kafka::Admin, directory: &Path) {
        let _ = admin.delete_topic(name);
        let _ = self
            .servers
            .psql()
            .psql("postgres", &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
        let _ = std::fs::remove_dir_all(directory);
    }
}

fn spawn_fault(
    round: &Round,
    planned: Planned,
    world: &Arc<World>,
    trace: &Arc<Trace>,
    began: Instant,
) -> anyhow::Result<std::thread::JoinHandle<anyhow::Result<()>>> {
    let (world, trace) = (Arc::clone(world), Arc::clone(trace));
    let round = Round { faults: Vec::new(), ..round.clone() };
    let thread = std::thread::Builder::new().name(planned.fault.name().into());
    let since = move || began.elapsed().as_millis() as u64;
    Ok(thread.spawn(move || {
        let began_ms = since();
        let outcome = apply(&world, &planned.fault)
            .with_context(|| format!("fault {}", planned.fault.name()))?;
        if !world.stop.is_interrupted() {
            trace.fault(&round, &planned, (began_ms, since()), &outcome)?;
        }
        Ok(())
    })?)
}

/// The trades' own table, with the trade's number for a key.
fn upsert_mapping() -> String {
    const TRADES: &str = include_str!("../../../config/tables/trade.toml");
    TRADES.replace("mode = \"append\"", "mode = \"upsert\"\nkey = [\"trade_id\"]")
}

fn batch_size(round: &Round) -> String {
    round.batch_size.map_or_else(|| "auto".into(), |records| records.to_string())
}

fn config_text(round: &Round, limits: &Limits) -> String {
    format!(
        "[consume]\nsession_timeout_ms = {session}\nheartbeat_interval_ms = {heartbeat}\n\
         revoke_timeout_ms = 4000\ndrain_timeout_ms = 12000\ndatabase_connections = {connections}\n",
        connections = round.connections,
        session = limits.session_ms,
        heartbeat = limits.session_ms / 8,
    )
}
