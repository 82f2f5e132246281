//! A small file system of a server's own, to be really full.
//!
//! It is a tmpfs in a mount namespace that only the server is in, so it goes with the
//! server and nobody else sees it. Root may do that; others may where the kernel lets
//! them have a user namespace.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::binaries::output;
use crate::{Error, Server};

/// Mounts and becomes the server. The directory belongs to whom the data belong to.
const MOUNT: &str = r#"
size=$1 small=$2 data=$3; shift 3
mount -t tmpfs -o "size=${size}m" tmpfs "$small" && chown --reference="$data" "$small" || exit 1
exec "$@"
"#;

/// Its size, and where it is mounted.
#[derive(Debug, Clone)]
pub(crate) struct SmallDisk {
    mib: u32,
    path: PathBuf,
}

impl SmallDisk {
    /// Makes the directory and shows that this user may mount.
    pub(crate) fn new(directory: &Path, mib: u32) -> Result<Self, Error> {
        let path = directory.join("small");
        std::fs::create_dir(&path)
            .map_err(|error| Error(format!("{}: {error}", path.display())))?;
        let disk = Self { mib, path };
        output(disk.mounted(directory)?.arg("true"))?;
        Ok(disk)
    }

    /// A command that mounts it and then becomes the program in its further arguments.
    pub(crate) fn mounted(&self, data: &Path) -> Result<Command, Error> {
        let mut command = Command::new("unshare");
        if output(Command::new("id").arg("-u"))?.trim() != "0" {
            command.args(["--user", "--map-current-user", "--keep-caps"]);
        }
        command.args(["--mount", "sh", "-c", MOUNT, "sh", &self.mib.to_string()]);
        command.arg(&self.path).arg(data);
        Ok(command)
    }
}

impl Server {
    /// [`Server::start`] with a file system of `mib` MiB that only this server sees:
    /// new tables of `database` are on it. What is on it ends with the server's process.
    ///
    /// # Errors
    /// Those of [`Server::start`]; this user may not mount.
    pub fn start_on_small_disk(settings: &[&str], mib: u32, database: &str) -> Result<Self, Error> {
        let mut server = Self::initialized(settings)?;
        let disk = SmallDisk::new(server.directory(), mib)?;
        let path = disk.path.display().to_string();
        server.small_disk = Some(disk);
        server.start_again()?;
        server.create_database(database)?;
        server.psql("postgres", &format!("CREATE TABLESPACE small LOCATION '{path}'"))?;
        let tables = format!("ALTER DATABASE {database} SET default_tablespace = small");
        server.psql("postgres", &tables)?;
        Ok(server)
    }

    /// Fills the small disk to its last byte.
    ///
    /// # Errors
    /// There is none, or it did not become full.
    pub fn fill_disk(&self) -> Result<(), Error> {
        let rows = "SELECT repeat('x', 8000) FROM generate_series(1, 1000000)";
        match self.ballast(rows) {
            Err(Error(said)) if said.contains("No space left on device") => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(Error("the disk did not become full".into())),
        }
    }

    /// Takes away what [`Server::fill_disk`] wrote.
    ///
    /// # Errors
    /// What psql said.
    pub fn free_disk(&self) -> Result<(), Error> {
        self.ballast("SELECT 1 WHERE false")
    }

    /// The server writes a file, since nobody else sees the disk.
    fn ballast(&self, rows: &str) -> Result<(), Error> {
        let Some(disk) = &self.small_disk else { return Err(Error("no small disk".into())) };
        let file = disk.path.join("ballast");
        self.psql("postgres", &format!("COPY ({rows}) TO '{}'", file.display())).map(drop)
    }
}
