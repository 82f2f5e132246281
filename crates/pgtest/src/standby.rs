//! A second server that follows the first, for failovers.

use std::process::Command;

use crate::binaries::{as_server_user, output};
use crate::{Error, Server};

impl Server {
    /// A hot standby that streams from this server.
    ///
    /// # Errors
    /// `pg_basebackup` failed, or those of [`Server::start`].
    pub fn standby(&self) -> Result<Self, Error> {
        let mut standby = Self::empty(self.settings.clone())?;
        let user = as_server_user(standby.directory())?;
        let data = standby.directory().join("data");
        let mut backup: Command = user.command(&self.binaries.path("pg_basebackup"));
        backup.args(["--write-recovery-conf", "--checkpoint=fast", "--no-sync", "--pgdata"]);
        output(backup.arg(data).args(["--dbname", &self.url("postgres")]))?;
        standby.start_again()?;
        Ok(standby)
    }

    /// Lets a standby hear no more of its primary: what the primary commits from now
    /// on would be forgotten by a failover.
    ///
    /// # Errors
    /// What psql said.
    pub fn cut_off(&self) -> Result<(), Error> {
        self.psql("postgres", "ALTER SYSTEM SET primary_conninfo = ''")?;
        self.psql("postgres", "SELECT pg_reload_conf()").map(drop)
    }

    /// Makes a standby the primary; returns when it takes writes.
    ///
    /// # Errors
    /// It does not within a minute.
    pub fn promote(&self) -> Result<(), Error> {
        match self.psql("postgres", "SELECT pg_promote()")?.as_str() {
            "t" => Ok(()),
            _ => Err(Error("the standby was not promoted within a minute".into())),
        }
    }
}
