//! A session that stays open: what holds locks and connections in a test.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::{Error, Psql};

/// Printed behind a statement, to know when it has ended.
const MARK: &str = "-- done --";

/// psql with an open connection. Dropping it ends the connection; its open
/// transaction is rolled back.
#[derive(Debug)]
pub struct Session {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
}

impl Psql {
    /// Opens a session at a URL ([`crate::Server::url`]).
    ///
    /// # Errors
    /// What psql said, for example that the server has no free connection.
    pub fn session(&self, url: &str) -> Result<Session, Error> {
        let spawned = self
            .command_at(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = spawned.map_err(|error| Error(format!("psql: {error}")))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error("psql has no pipes".into()));
        };
        let mut session = Session { child, stdin, stdout: BufReader::new(stdout) };
        session.run("SELECT 1;")?;
        Ok(session)
    }
}

impl Session {
    /// Runs SQL that ends with `;` and waits for its end.
    ///
    /// # Errors
    /// What psql said; the session has ended then.
    pub fn run(&mut self, sql: &str) -> Result<(), Error> {
        // A psql that could not connect has closed its pipe; what it said is read below.
        let _ = writeln!(self.stdin, "{sql}\n\\echo {MARK}").and_then(|()| self.stdin.flush());
        let mut line = String::new();
        loop {
            line.clear();
            match self.stdout.read_line(&mut line) {
                Ok(0) | Err(_) => return Err(self.said()),
                Ok(_) if line.trim_end() == MARK => return Ok(()),
                Ok(_) => {}
            }
        }
    }

    /// Sends SQL that ends with `;` and does not wait: it may be for a lock.
    ///
    /// # Errors
    /// The session has ended.
    pub fn send(&mut self, sql: &str) -> Result<(), Error> {
        let sent = writeln!(self.stdin, "{sql}").and_then(|()| self.stdin.flush());
        sent.map_err(|_| self.said())
    }

    fn said(&mut self) -> Error {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut text);
        }
        Error(format!("psql: {}", text.trim()))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
