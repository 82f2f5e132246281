//! A throw-away PostgreSQL server for tests and benchmarks, from the binaries
//! of the system.
//!
//! Contract: it listens on a free port of 127.0.0.1 and trusts everybody there.
//! Whatever happens to the process that started it, the server ends and its
//! directory goes: a shell waits for the end of a pipe that this process holds.
//!
//! Rejected: a container (the test machine may have none); one server in each
//! test (a second of start each); a parent-death signal (it is sent when the
//! *thread* that started the server ends, and tests are threads).
//!
//! # Layout
//! - `binaries`: the system's programs, and whom they run as
//! - `pooler`: a PgBouncer in front of a server
//! - `session`: a session that stays open
//! - `standby`: a second server that follows the first
//! - `disk`: a small file system of a server's own

#![deny(missing_docs)]

mod binaries;
mod disk;
mod pooler;
mod session;
mod standby;

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use binaries::{Binaries, as_server_user, output};
use disk::SmallDisk;
pub use pooler::Pooler;
pub use session::Session;

/// Name of the superuser.
const USER: &str = "tidegate";
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const SPAWN_RETRY: Duration = Duration::from_secs(2);

/// Starts the server, waits for the end of its input, stops it: a fast shutdown,
/// and at last the directory. A server that was killed is gone already; one that has
/// only just started ignores the signal, so it is sent until it works.
const KEEPER: &str = r#"
directory=$1; shift
"$@" >>"$directory/log" 2>&1 </dev/null &
server=$!
cat >/dev/null
while kill -INT "$server" 2>/dev/null; do
  case $(cat "/proc/$server/stat" 2>/dev/null) in "" | *") Z "*) break ;; esac
  sleep 0.1
done
wait "$server"
[ -e "$directory/keep" ] || rm -rf "$directory"
"#;

/// What went wrong while a server was started or used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub struct Server {
    binaries: Binaries,
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    small_disk: Option<SmallDisk>,
    keeper: Option<(Child, ChildStdin)>,
}

impl Server {
    /// Creates a cluster and starts its server with these settings
    /// (`fsync=off`), which are put on top of the server's own defaults.
    ///
    /// # Errors
    /// There are no server binaries, or one of them failed.
    pub fn start(settings: &[&str]) -> Result<Self, Error> {
        let mut server = Self::initialized(settings)?;
        server.start_again()?;
        Ok(server)
    }

    /// A cluster whose server does not run.
    fn initialized(settings: &[&str]) -> Result<Self, Error> {
        let server = Self::empty(settings.iter().map(ToString::to_string).collect())?;
        let user = as_server_user(server.directory())?;
        output(
            user.command(&server.binaries.path("initdb"))
                .args(["--username", USER, "--auth", "trust", "--encoding", "UTF8"])
                .args(["--locale", "C", "--no-sync", "--pgdata"])
                .arg(server.directory().join("data")),
        )?;
        Ok(server)
    }

    /// A directory and a port.
    fn empty(settings: Vec<String>) -> Result<Self, Error> {
        let binaries = Binaries::find()?;
        let directory = tempfile::Builder::new()
            .prefix("tidegate-pg-")
            .tempdir()
            .map_err(|error| Error(format!("temporary directory: {error}")))?;
        let port = free_port()?;
        Ok(Self { binaries, directory, port, settings, small_disk: None, keeper: None })
    }

    /// Starts the server on its data and port; returns when it answers.
    ///
    /// # Errors
    /// It does not answer within a minute.
    pub fn start_again(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + READY_TIMEOUT;
        let mut spawned: Option<Instant> = None;
        while !self.is_ready() {
            // After a SIGKILL the old server's memory may still be in use. One that
            // was just started has no process id to be found by yet.
            let has_had_time = spawned.is_none_or(|at| at.elapsed() > SPAWN_RETRY);
            if has_had_time && self.is_stopped() {
                self.spawn()?;
                spawned = Some(Instant::now());
            }
            if Instant::now() > deadline {
                let log = std::fs::read_to_string(self.directory.path().join("log"));
                return Err(Error(format!("no answer: {}", log.unwrap_or_default())));
            }
            std::thread::park_timeout(Duration::from_millis(50));
        }
        Ok(())
    }

    fn spawn(&mut self) -> Result<(), Error> {
        self.end_keeper();
        let directory = self.directory.path();
        let user = as_server_user(directory)?;
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(directory);
        if let Some(disk) = &self.small_disk {
            let mounted = disk.mounted(&directory.join("data"))?;
            keeper.arg(mounted.get_program()).args(mounted.get_args());
        }
        let server = user.command(&self.binaries.path("postgres"));
        keeper.arg(server.get_program()).args(server.get_args());
        keeper.arg("-D").arg(directory.join("data"));
        keeper.args(["-h", "127.0.0.1", "-k", "", "-p", &self.port.to_string()]);
        for setting in &self.settings {
            keeper.args(["-c", setting]);
        }
        let mut child = keeper
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| Error(format!("sh: {error}")))?;
        let stdin = child.stdin.take().ok_or_else(|| Error("sh has no stdin".into()))?;
        self.keeper = Some((child, stdin));
        Ok(())
    }

    /// The server's main process, while it runs.
    pub fn pid(&self) -> Option<u32> {
        let text = std::fs::read_to_string(self.directory.path().join("data/postmaster.pid"));
        let pid = text.ok()?.lines().next()?.parse().ok()?;
        is_alive(pid).then_some(pid)
    }

    /// Tells the main process to stop by a signal of its own: `QUIT` is an immediate
    /// shutdown (without a checkpoint), `INT` a fast one. Returns when it is gone;
    /// [`Server::start_again`] starts it.
    ///
    /// # Errors
    /// It does not run, or not stop within a minute.
    pub fn shut_down(&mut self, signal: &str) -> Result<(), Error> {
        let pid = self.pid().ok_or_else(|| Error("the server does not run".into()))?;
        output(Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]))?;
        wait_until_gone(pid)
    }

    fn is_stopped(&self) -> bool {
        self.keeper.is_none() || self.pid().is_none()
    }

    fn is_ready(&self) -> bool {
        self.keeper.is_some() && self.psql("postgres", "SELECT 1").is_ok()
    }

    /// Kills every process of the server with SIGKILL, as an out-of-memory killer
    /// would; [`Server::start_again`] lets it recover.
    ///
    /// # Errors
    /// It does not run.
    pub fn kill(&mut self) -> Result<(), Error> {
        let pid = self.pid().ok_or_else(|| Error("the server does not run".into()))?;
        // First the main process, or it would restart the others.
        for pid in std::iter::once(pid).chain(children(pid)) {
            let _ = output(Command::new("kill").args(["-KILL", &pid.to_string()]));
        }
        wait_until_gone(pid)
    }

    /// Creates a database.
    ///
    /// # Errors
    /// What psql said.
    pub fn create_database(&self, name: &str) -> Result<(), Error> {
        self.psql("postgres", &format!("CREATE DATABASE {name}")).map(drop)
    }

    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        url(USER, self.port, database)
    }

    /// The same for another role than the superuser.
    pub fn url_of(&self, role: &str, database: &str) -> String {
        url(role, self.port, database)
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Its directory: `data`, and `log`.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Runs SQL, or one command of psql; returns the rows, fields separated by `|`.
    ///
    /// # Errors
    /// What psql said.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, Error> {
        self.client().psql(database, sql)
    }

    /// Runs a script of psql in one session.
    ///
    /// # Errors
    /// What psql said.
    pub fn psql_file(&self, database: &str, script: &Path) -> Result<(), Error> {
        output(self.client().command(database).arg("-f").arg(script)).map(drop)
    }

    /// A client that does not borrow the server: for other threads, also while
    /// the server is killed.
    pub fn client(&self) -> Psql {
        Psql { program: self.binaries.path("psql"), port: self.port }
    }

    /// Ends the keeper without its last step: the directory stays.
    fn end_keeper(&mut self) {
        let Some((mut child, stdin)) = self.keeper.take() else { return };
        let keep = self.directory.path().join("keep");
        let _ = std::fs::write(&keep, "");
        drop(stdin);
        let _ = child.wait();
        let _ = std::fs::remove_file(keep);
    }
}

/// psql of a server, by its port.
#[derive(Debug, Clone)]
pub struct Psql {
    program: PathBuf,
    port: u16,
}

impl Psql {
    /// [`Server::psql`].
    ///
    /// # Errors
    /// What psql said.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String, Error> {
        output(self.command(database).args(["-c", sql])).map(|text| text.trim_end().to_owned())
    }

    fn command(&self, database: &str) -> Command {
        self.command_at(&url(USER, self.port, database))
    }

    fn command_at(&self, url: &str) -> Command {
        let mut psql = Command::new(&self.program);
        psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url]);
        psql
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end_keeper();
    }
}

fn url(role: &str, port: u16, database: &str) -> String {
    format!("postgres://{role}@127.0.0.1:{port}/{database}")
}

fn wait_until_gone(pid: u32) -> Result<(), Error> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while is_alive(pid) {
        if Instant::now() > deadline {
            return Err(Error(format!("process {pid} survives its signal")));
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    Ok(())
}

fn free_port() -> Result<u16, Error> {
    let [port] = tidegate_ports::free().map_err(|error| Error(format!("127.0.0.1: {error}")))?;
    Ok(port)
}

/// Whether the process exists and is not a zombie.
fn is_alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or("").trim_start().starts_with('Z'))
}

fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or("").split_whitespace().nth(1);
        fields.and_then(|field| field.parse().ok()) == Some(parent)
    };
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    processes
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(is_child)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At once after its start a server has not asked for signals yet.
    #[test]
    fn a_server_that_is_only_starting_can_be_ended() {
        let mut server = Server::start(&["fsync=off"]).expect("starts");
        for _ in 0..3 {
            server.kill().expect("kills");
            server.spawn().expect("spawns");
            let (keeper, _) = server.keeper.as_ref().expect("a keeper");
            let keeper = keeper.id();
            server.end_keeper();
            assert!(!is_alive(keeper) && server.pid().is_none(), "it is gone");
            server.start_again().expect("recovers");
        }
        assert_eq!(server.psql("postgres", "SELECT 1").expect("answers"), "1");
    }
}
