//! The system's PostgreSQL binaries, and whom they run as.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;

/// The directory of `initdb`, `postgres` and `psql`.
#[derive(Debug, Clone)]
pub(crate) struct Binaries(PathBuf);

impl Binaries {
    /// What `pg_config` names, Debian's directories (the newest first), `PATH`.
    pub(crate) fn find() -> Result<Self, Error> {
        let named = Command::new("pg_config").arg("--bindir").output().ok();
        let named = named.map(|output| {
            PathBuf::from(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        });
        let mut debian: Vec<(u32, PathBuf)> = std::fs::read_dir("/usr/lib/postgresql")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let version = entry.file_name().to_str()?.parse().ok()?;
                Some((version, entry.path().join("bin")))
            })
            .collect();
        debian.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
        let path = std::env::var_os("PATH").unwrap_or_default();
        named
            .into_iter()
            .chain(debian.into_iter().map(|(_, path)| path))
            .chain(std::env::split_paths(&path))
            .find(|path| ["initdb", "postgres", "psql"].iter().all(|name| path.join(name).exists()))
            .map(Self)
            .ok_or_else(|| {
                Error("no PostgreSQL server binaries: run scripts/ensure-tools.sh test".into())
            })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

/// The server refuses to run as root.
#[derive(Debug, Clone)]
pub(crate) struct ServerUser(Option<String>);

/// Gives the directory to whom the server will run as.
pub(crate) fn as_server_user(directory: &Path) -> Result<ServerUser, Error> {
    let id = |arguments: &[&str]| output(Command::new("id").args(arguments));
    if id(&["-u"])?.trim() != "0" {
        return Ok(ServerUser(None));
    }
    let name = if id(&["-u", "postgres"]).is_ok() { "postgres" } else { "nobody" };
    output(Command::new("chown").arg(name).arg(directory))?;
    Ok(ServerUser(Some(name.to_owned())))
}

impl ServerUser {
    /// A command that runs as this user, with the same process id.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut words: Vec<OsString> = Vec::new();
        if let Some(name) = &self.0 {
            words.extend(["setpriv", "--init-groups", "--reuid", name].map(OsString::from));
            let group = output(Command::new("id").args(["-g", name])).unwrap_or_default();
            words.extend(["--regid", group.trim()].map(OsString::from));
            words.push("--".into());
        }
        words.push(program.as_os_str().to_owned());
        let mut command = Command::new(words.first().map_or(OsStr::new(""), |word| word));
        command.args(words.get(1..).unwrap_or_default()).current_dir("/");
        command
    }
}

/// Standard output; the error has what the program said.
pub(crate) fn output(command: &mut Command) -> Result<String, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| Error(format!("{name}: {error}")))?;
    if !output.status.success() {
        return Err(Error(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
