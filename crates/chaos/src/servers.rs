//! Broker and database server, each behind a proxy; they live as long as the run.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::{Broker, BrokerOptions, Distribution};
use tidegate_pgtest::{Psql, Server};

use crate::main_thread::MainThread;
use crate::plan::Service;
use crate::proxy::Proxy;

const BROKER_READY: Duration = Duration::from_secs(90);

/// The servers and their proxies. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Servers {
    main: MainThread,
    pub(crate) kafka: Proxy,
    pub(crate) database: Proxy,
    broker: Arc<Mutex<Broker>>,
    postgres: Arc<Mutex<Server>>,
    /// Held by the fault that works on the broker.
    pub(crate) broker_claim: Arc<Mutex<()>>,
    psql: Psql,
    postgres_port: u16,
}

impl Servers {
    /// Starts both. Clients of the broker are sent to the proxy.
    pub(crate) fn start(
        main: &MainThread,
        directory: &Path,
        session_ms: u64,
    ) -> anyhow::Result<Self> {
        let kafka = Proxy::start("kafka")?;
        let database = Proxy::start("database")?;
        // A lost session must not keep a slot of a later one.
        let postgres = Server::start(&["max_connections=300"])?;
        database.lead_to(postgres.port());
        let distribution = Distribution::find(&mut |line| crate::say(line))?;
        let options = BrokerOptions {
            advertised_port: Some(kafka.port()),
            settings: vec![
                ("group.consumer.session.timeout.ms".into(), session_ms.to_string()),
                ("group.consumer.heartbeat.interval.ms".into(), "300".into()),
            ],
        };
        let directory = directory.join("kafka");
        let broker =
            main.call(move || Broker::start_with(&distribution, &directory, &options))??;
        let port = broker.bootstrap().rsplit(':').next().and_then(|port| port.parse().ok());
        kafka.lead_to(port.context("the broker has no port")?);
        Ok(Self {
            main: main.clone(),
            kafka,
            database,
            psql: postgres.client(),
            postgres_port: postgres.port(),
            broker: Arc::new(Mutex::new(broker)),
            postgres: Arc::new(Mutex::new(postgres)),
            broker_claim: Arc::default(),
        })
    }

    pub(crate) fn proxy(&self, service: Service) -> &Proxy {
        match service {
            Service::Kafka => &self.kafka,
            Service::Database => &self.database,
        }
    }

    /// Where clients connect: the proxy.
    pub(crate) fn brokers(&self) -> String {
        format!("127.0.0.1:{}", self.kafka.port())
    }

    pub(crate) fn admin(&self) -> anyhow::Result<Admin> {
        Ok(Admin::new(&ConnectionOptions::new(self.brokers()))?)
    }

    pub(crate) fn psql(&self) -> &Psql {
        &self.psql
    }

    pub(crate) fn postgres_port(&self) -> u16 {
        self.postgres_port
    }

    /// The database server, if no other fault works on it.
    pub(crate) fn claim_postgres(&self) -> Option<MutexGuard<'_, Server>> {
        match self.postgres.try_lock() {
            Ok(server) => Some(server),
            Err(std::sync::TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn broker_pid(&self) -> u32 {
        lock(&self.broker).pid()
    }

    /// Whether the broker still runs; the error says how it ended.
    pub(crate) fn check_broker(&self) -> anyhow::Result<()> {
        Ok(lock(&self.broker).check()?)
    }

    /// SIGKILL; returns when it is gone.
    pub(crate) fn kill_broker(&self) {
        lock(&self.broker).kill();
    }

    /// Starts it again and waits until it answers.
    pub(crate) fn restart_broker(&self) -> anyhow::Result<()> {
        let broker = Arc::clone(&self.broker);
        self.main.call(move || lock(&broker).start_again())??;
        let bootstrap = lock(&self.broker).bootstrap().to_owned();
        let admin = Admin::new(&ConnectionOptions::new(bootstrap))?;
        admin.wait_ready(BROKER_READY).context("the broker after its restart")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
