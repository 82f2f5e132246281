//! One running broker: started, watched, stopped.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::RngExt as _;
use rustix::process::{Pid, Signal, kill_process};
use tidegate_kafka::{Admin, ConnectionOptions};

use super::java::{self, Java, LOG, LOGGING, SETTINGS};
use super::properties::{Ports, server};
use super::{BrokerOptions, Cluster, Distribution, Listener};
use crate::Error;
use crate::process::Identity;

const LOG4J: &str = include_str!("../../assets/log4j2.properties");
const READY_TIMEOUT: Duration = Duration::from_secs(90);
const ATTEMPT: Duration = Duration::from_secs(1);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
const MIN_FREE_MIB: u64 = 512;

/// A Kafka node that belongs to this world, and ends with it.
#[derive(Debug)]
pub struct Broker {
    child: Child,
    bootstrap: String,
    log: PathBuf,
    distribution: Distribution,
    directory: PathBuf,
    options: BrokerOptions,
    cluster: Cluster,
}

impl Broker {
    /// Formats storage in the directory and starts a broker on free ports.
    /// Spawns from the calling thread, which must be the main one.
    ///
    /// # Errors
    /// One line each: no or old Java, too little disk, a broker that does not start.
    pub fn start(distribution: &Distribution, directory: &Path) -> Result<Self, Error> {
        Self::start_with(distribution, directory, &BrokerOptions::default())
    }

    /// [`Broker::start`] with options.
    ///
    /// # Errors
    /// Those of [`Broker::start`].
    pub fn start_with(
        distribution: &Distribution,
        directory: &Path,
        options: &BrokerOptions,
    ) -> Result<Self, Error> {
        java::check()?;
        fs::create_dir_all(directory).map_err(Error::file(directory))?;
        check_free_space(directory)?;
        let ports = free_ports(directory, &options.listeners)?;
        let settings = directory.join(SETTINGS);
        fs::write(&settings, server(ports, &directory.join("data"), options))
            .map_err(Error::file(&settings))?;
        let logging = directory.join(LOGGING);
        fs::write(&logging, LOG4J).map_err(Error::file(&logging))?;
        let cluster = options.join.clone().unwrap_or_else(|| Cluster {
            // Sixteen random bytes.
            id: URL_SAFE_NO_PAD.encode(rand::rng().random::<[u8; 16]>()),
            controller_port: ports.controller,
            node_id: 1,
        });
        let java = Java { distribution, directory, options };
        java.format_storage(&cluster.id)?;
        let child = java.spawn_broker()?;
        let bootstrap = format!("127.0.0.1:{}", ports.broker);
        let mut broker = Self {
            child,
            bootstrap,
            log: directory.join(LOG),
            distribution: distribution.clone(),
            directory: directory.to_owned(),
            options: options.clone(),
            cluster,
        };
        broker.wait_ready()?;
        Ok(broker)
    }

    /// Starts it again on its storage and ports, after [`Broker::kill`]. Does not
    /// wait until it answers. Spawns from the calling thread, as the start does.
    ///
    /// # Errors
    /// [`Error::Spawn`], [`Error::File`].
    pub fn start_again(&mut self) -> Result<(), Error> {
        self.kill();
        let java = Java {
            distribution: &self.distribution,
            directory: &self.directory,
            options: &self.options,
        };
        self.child = java.spawn_broker()?;
        Ok(())
    }

    /// What another broker needs to join this one's cluster as `node_id`.
    pub fn cluster(&self, node_id: u16) -> Cluster {
        Cluster { node_id, ..self.cluster.clone() }
    }

    /// Its log.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Where clients connect.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs; the error tells how it ended.
    ///
    /// # Errors
    /// [`Error::Broker`] when it ended by itself.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(format!("ended with {status}"))),
            Err(error) => Err(self.failed(error.to_string())),
        }
    }

    /// Waits until it answers.
    ///
    /// # Errors
    /// [`Error::Broker`] when it ended by itself or does not answer within 90 s.
    pub fn wait_ready(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            self.check()?;
            // A client of its own for each attempt: one that has been told of an advertised
            // port, by an answer that came too late, asks there ever after, and a proxy may
            // not lead anywhere yet.
            let admin = Admin::new(&ConnectionOptions::new(self.bootstrap.clone()))?;
            if admin.wait_ready(ATTEMPT).is_ok() {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(
                    self.failed(format!("did not answer within {} s", READY_TIMEOUT.as_secs()))
                );
            }
        }
    }

    fn failed(&self, what: String) -> Error {
        Error::Broker { what, last_line: last_meaningful_line(&self.log), log: self.log.clone() }
    }

    /// Stops it: SIGTERM, and SIGKILL for one that does not listen.
    pub fn stop(mut self) {
        self.shut_down();
    }

    /// The same for a broker that [`Broker::start_again`] starts again.
    pub fn shut_down(&mut self) {
        // Once it was waited for, its id may be somebody else's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.kill();
    }

    /// Ends it at once.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// The process, for whoever cleans up after us.
    pub fn identity(&self) -> Option<Identity> {
        Identity::of(self.child.id())
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// Two ports nobody listens on now, and none of the broker's further listeners will: those
/// were chosen before.
fn free_ports(directory: &Path, further: &[Listener]) -> Result<Ports, Error> {
    loop {
        let [broker, controller] = tidegate_ports::free().map_err(Error::file(directory))?;
        if further.iter().all(|listener| ![broker, controller].contains(&listener.port)) {
            return Ok(Ports { broker, controller });
        }
    }
}

fn check_free_space(directory: &Path) -> Result<(), Error> {
    let stat =
        rustix::fs::statvfs(directory).map_err(|errno| Error::file(directory)(errno.into()))?;
    let free_mib = (stat.f_bavail.saturating_mul(stat.f_frsize)) >> 20;
    if free_mib < MIN_FREE_MIB {
        return Err(Error::DiskFull {
            directory: directory.to_owned(),
            free_mib,
            needed_mib: MIN_FREE_MIB,
        });
    }
    Ok(())
}

fn last_meaningful_line(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines = || text.lines().filter(|line| line.starts_with('['));
    lines()
        .rfind(|line| line.contains(" ERROR ") || line.contains(" FATAL "))
        .or_else(|| lines().next_back())
        .unwrap_or("it wrote no log")
        .to_owned()
}
