//! A PgBouncer in transaction mode in front of a server.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::{Error, READY_TIMEOUT, Server, USER, free_port, url};

const PROGRAMS: [&str; 2] = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"];

/// A running pooler: each transaction may be on another connection of the server. Dropping it
/// stops it.
#[derive(Debug)]
pub struct Pooler {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Pooler {
    /// Shares so many connections of the server among all clients.
    ///
    /// # Errors
    /// There is no PgBouncer, or it does not answer within a minute.
    pub fn start(server: &Server, connections: usize) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error(format!("PgBouncer: {error}"));
        let directory = tempfile::tempdir().map_err(failed)?;
        let port = free_port()?;
        let config = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user={USER}\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {connections}\nuser = nobody\n",
            server.port()
        );
        std::fs::write(&config, text).map_err(failed)?;
        readable(directory.path()).map_err(failed)?;
        let program = PROGRAMS
            .iter()
            .find(|path| Path::new(path).exists())
            .ok_or_else(|| Error("no pgbouncer: run scripts/ensure-tools.sh test".into()))?;
        let child = Command::new(program)
            .arg("-q")
            .arg(&config)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let pooler = Self { child, port, _directory: directory };
        let deadline = Instant::now() + READY_TIMEOUT;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() >= deadline {
                return Err(Error("PgBouncer does not answer".into()));
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        Ok(pooler)
    }

    /// URL of a database of its server.
    pub fn url(&self, database: &str) -> String {
        url(USER, self.port, database)
    }
}

/// As root it reads its file as another user.
fn readable(directory: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755))
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
