//! Where Kafka's jars come from.
//!
//! Contract: the cache is complete or not there. Maven copies into a directory
//! beside it; a manifest of names and sizes is written last; the directory is
//! renamed into place. A cache whose files do not match its manifest is filled
//! again. One provisioner at a time (file lock). Offline once filled.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use etcetera::BaseStrategy;
use rustix::fs::{FlockOperation, flock};

use crate::Error;

/// The version that is fetched when none is given.
pub const KAFKA_VERSION: &str = "4.3.1";

const POM: &str = include_str!("../../assets/kafka-pom.xml");
const MANIFEST: &str = "manifest.txt";
/// Start of the name of a directory that Maven copies into.
const UNFINISHED: &str = ".kafka-";

/// Kafka's jars.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    /// Jars in a fixed order.
    pub jars: Vec<PathBuf>,
    /// Whether they were downloaded just now.
    pub downloaded: bool,
}

impl Distribution {
    /// Finds or fetches Kafka: `KAFKA_HOME`, else the cache, else Maven. `say`
    /// gets a line before anything slow.
    ///
    /// # Errors
    /// [`Error::KafkaHome`], [`Error::MissingTool`], [`Error::Download`] or [`Error::File`].
    pub fn find(say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        if let Some(home) = std::env::var_os("KAFKA_HOME").filter(|home| !home.is_empty()) {
            return Self::in_home(PathBuf::from(home));
        }
        Self::in_cache(&cache_dir()?, say)
    }

    fn in_home(home: PathBuf) -> Result<Self, Error> {
        match jars(&home.join("libs")) {
            Ok(jars) if !jars.is_empty() => Ok(Self { jars, downloaded: false }),
            _ => Err(Error::KafkaHome { home }),
        }
    }

    fn in_cache(cache: &Path, say: &mut dyn FnMut(&str)) -> Result<Self, Error> {
        let libs = cache.join(format!("kafka-{KAFKA_VERSION}"));
        if is_complete(&libs) {
            return Ok(Self { jars: jars(&libs)?, downloaded: false });
        }
        fs::create_dir_all(cache).map_err(Error::file(cache))?;
        let lock_path = cache.join(".lock");
        let lock = File::create(&lock_path).map_err(Error::file(&lock_path))?;
        flock(&lock, FlockOperation::LockExclusive)
            .map_err(|errno| Error::file(&lock_path)(errno.into()))?;
        // Another provisioner may have filled it while we waited for the lock.
        let downloaded = !is_complete(&libs);
        if downloaded {
            say(&format!(
                "fetching Kafka {KAFKA_VERSION} with Maven (45 MB, once) into {}",
                libs.display()
            ));
            fill(cache, &libs)?;
        }
        Ok(Self { jars: jars(&libs)?, downloaded })
    }
}

fn cache_dir() -> Result<PathBuf, Error> {
    let strategy = etcetera::choose_base_strategy().map_err(|_| Error::RunDirectory {
        path: PathBuf::from("$HOME"),
        reason: "not set, so there is no user cache directory; set HOME or XDG_CACHE_HOME".into(),
    })?;
    Ok(strategy.cache_dir().join("tidegate"))
}

/// The caller holds the lock.
fn fill(cache: &Path, libs: &Path) -> Result<(), Error> {
    remove_unfinished(cache);
    let work = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(cache)
        .map_err(Error::file(cache))?;
    let pom = work.path().join("pom.xml");
    fs::write(&pom, POM).map_err(Error::file(&pom))?;
    let fresh = work.path().join("libs");
    run_maven(&pom, &fresh)?;
    write_manifest(&fresh)?;
    if libs.exists() {
        fs::remove_dir_all(libs).map_err(Error::file(libs))?;
    }
    fs::rename(&fresh, libs).map_err(Error::file(libs))
}

/// What an interrupted fetch left. A failure to remove it costs disk, not more.
fn remove_unfinished(cache: &Path) {
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn run_maven(pom: &Path, libs: &Path) -> Result<(), Error> {
    let output = Command::new("mvn")
        .args(["-B", "-q", "-f"])
        .arg(pom)
        .arg("org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies")
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .arg("-DincludeScope=runtime")
        .stdin(Stdio::null())
        .output()
        .map_err(|_| Error::MissingTool {
            tool: "mvn",
            advice: "Maven fetches Kafka once (Debian: maven); or set KAFKA_HOME, or use --brokers",
        })?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Err(Error::Download { reason: meaningful_line(&text) })
}

/// Maven's first error line; the others are advice how to see more. A line may
/// begin with the escape sequence that resets the terminal's colour.
fn meaningful_line(text: &str) -> String {
    text.lines()
        .filter_map(|line| line.split_once("[ERROR]"))
        .map(|(_, reason)| reason.trim())
        .find(|reason| !reason.is_empty())
        .or_else(|| text.lines().map(str::trim).rfind(|line| !line.is_empty()))
        .unwrap_or("no output")
        .to_owned()
}

fn jars(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut jars: Vec<PathBuf> = fs::read_dir(directory)
        .map_err(Error::file(directory))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
        .collect();
    jars.sort();
    Ok(jars)
}

fn listing(directory: &Path) -> Result<String, Error> {
    let mut listing = String::new();
    for jar in jars(directory)? {
        let size = fs::metadata(&jar).map_err(Error::file(&jar))?.len();
        let name = jar.file_name().unwrap_or_default().to_string_lossy();
        listing.push_str(&format!("{name} {size}\n"));
    }
    Ok(listing)
}

fn write_manifest(directory: &Path) -> Result<(), Error> {
    let listing = listing(directory)?;
    if !listing.contains("kafka_2.13") {
        return Err(Error::Download { reason: "Maven succeeded but brought no Kafka".into() });
    }
    let path = directory.join(MANIFEST);
    fs::write(&path, listing).map_err(Error::file(&path))
}

fn is_complete(directory: &Path) -> bool {
    fs::read_to_string(directory.join(MANIFEST)).is_ok_and(|manifest| {
        listing(directory).is_ok_and(|now| !now.is_empty() && now == manifest)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled() -> tempfile::TempDir {
        let directory = tempfile::tempdir().expect("directory");
        fs::write(directory.path().join("kafka_2.13-4.jar"), "12345").expect("jar");
        fs::write(directory.path().join("other.jar"), "1").expect("jar");
        write_manifest(directory.path()).expect("manifest");
        directory
    }

    #[test]
    fn a_cache_is_complete_only_as_its_manifest_says() {
        let directory = filled();
        assert!(is_complete(directory.path()));
        fs::write(directory.path().join("other.jar"), "").expect("truncate");
        assert!(!is_complete(directory.path()), "a truncated jar");
        let directory = filled();
        fs::remove_file(directory.path().join("other.jar")).expect("remove");
        assert!(!is_complete(directory.path()), "a missing jar");
        let directory = filled();
        fs::remove_file(directory.path().join(MANIFEST)).expect("remove");
        assert!(!is_complete(directory.path()), "no manifest");
        assert!(!is_complete(Path::new("/nonexistent")));
    }

    #[test]
    fn an_interrupted_fetch_is_cleared_away() {
        let cache = tempfile::tempdir().expect("directory");
        fs::create_dir_all(cache.path().join(".kafka-abc/libs")).expect("left over");
        fs::create_dir(cache.path().join("kafka-4.3.1")).expect("complete");
        remove_unfinished(cache.path());
        assert!(!cache.path().join(".kafka-abc").exists());
        assert!(cache.path().join("kafka-4.3.1").exists());
    }

    #[test]
    fn the_reason_is_mavens_first_error() {
        let text = "\n[ERROR] Failed to execute goal: Unknown host\n[ERROR] \n[ERROR] To see the full stack trace\n";
        assert_eq!(meaningful_line(text), "Failed to execute goal: Unknown host");
        assert_eq!(meaningful_line("\x1b[0m[ERROR] refused\n[ERROR] more"), "refused");
        assert_eq!(meaningful_line("one\ntwo\n\n"), "two");
        assert_eq!(meaningful_line(""), "no output");
    }

    #[test]
    fn kafka_home_without_jars_is_refused() {
        let error = Distribution::in_home(PathBuf::from("/nonexistent")).expect_err("refused");
        assert!(error.to_string().contains("KAFKA_HOME"), "{error}");
    }
}
