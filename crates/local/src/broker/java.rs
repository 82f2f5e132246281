//! The Java that runs Kafka: whether it is new enough, and how Kafka's programs are started
//! with it.
//!
//! Threads: a broker is spawned from the calling thread, which must be the main one: the
//! kernel ends it with that thread.

use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{BrokerOptions, Distribution};
use crate::Error;

/// The oldest Java that Kafka 4 runs on.
const MIN_MAJOR: u32 = 17;
/// Files in a broker's directory.
pub(super) const SETTINGS: &str = "server.properties";
pub(super) const LOGGING: &str = "log4j2.properties";
pub(super) const LOG: &str = "server.log";
/// Starts in half the time of the defaults and is enough for one machine's load.
const JVM_FLAGS: &[&str] = &["-Xmx512m", "-Xss512k", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"];

/// Checks that `java` on PATH is new enough.
///
/// # Errors
/// [`Error::MissingTool`] or [`Error::OldJava`].
pub(super) fn check() -> Result<(), Error> {
    let output =
        Command::new("java").arg("-version").stdin(Stdio::null()).output().map_err(|_| {
            Error::MissingTool {
                tool: "java",
                advice: "Kafka needs Java 17 or newer (Debian: openjdk-17-jre-headless)",
            }
        })?;
    // The version goes to stderr, for historical reasons of Java's.
    let text = String::from_utf8_lossy(&output.stderr);
    match major(&text) {
        Some(found) if found < MIN_MAJOR => Err(Error::OldJava { found }),
        _ => Ok(()),
    }
}

/// `openjdk version "17.0.15"` → 17, `java version "1.8.0_392"` → 8.
fn major(text: &str) -> Option<u32> {
    let version = text.split_once("version \"")?.1.split_once('"')?.0;
    let mut numbers = version.split(['.', '_', '-', '+']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

/// The programs of a distribution, on a broker's directory.
pub(super) struct Java<'a> {
    pub(super) distribution: &'a Distribution,
    pub(super) directory: &'a Path,
    pub(super) options: &'a BrokerOptions,
}

impl Java<'_> {
    fn arguments(&self, class: &str) -> Vec<OsString> {
        let separator = OsString::from(":");
        let classes = self.options.classes.iter().chain(&self.distribution.jars);
        let class_path = classes.fold(OsString::new(), |mut path, jar| {
            if !path.is_empty() {
                path.push(&separator);
            }
            path.push(jar);
            path
        });
        let mut arguments: Vec<OsString> = match &self.options.jvm_flags {
            Some(flags) => flags.iter().map(OsString::from).collect(),
            None => JVM_FLAGS.iter().map(OsString::from).collect(),
        };
        let file = |name| self.directory.join(name);
        arguments.push(format!("-Dlog4j2.configurationFile={}", file(LOGGING).display()).into());
        arguments.push(format!("-Dtidegate.log={}", file(LOG).display()).into());
        arguments.push("-cp".into());
        arguments.push(class_path);
        arguments.push(class.into());
        arguments
    }

    /// Once, before the first start.
    pub(super) fn format_storage(&self, cluster_id: &str) -> Result<(), Error> {
        // Written with "=", since an id may begin with "-".
        let output = Command::new("java")
            .args(self.arguments("kafka.tools.StorageTool"))
            .args(["format", "--ignore-formatted", &format!("--cluster-id={cluster_id}"), "-c"])
            .arg(self.directory.join(SETTINGS))
            .args(&self.options.format)
            .stdin(Stdio::null())
            .output()
            .map_err(|source| Error::Spawn { program: "java".into(), source })?;
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        Err(Error::Broker {
            what: "cannot format its storage".into(),
            last_line: cause(&text).unwrap_or("no output").into(),
            log: self.directory.join(LOG),
        })
    }

    /// A broker, in a process group of its own, behind a guard that ends it with us.
    pub(super) fn spawn_broker(&self) -> Result<Child, Error> {
        let out = self.directory.join("stdout.log");
        let out_file = fs::File::create(&out).map_err(Error::file(&out))?;
        let own = || std::env::current_exe();
        let guard = self
            .options
            .guard
            .clone()
            .map_or_else(own, Ok)
            .map_err(|source| Error::Spawn { program: "java".into(), source })?;
        Command::new(guard)
            .arg("exec-guarded")
            .arg(format!("--parent={}", std::process::id()))
            .arg("--")
            .arg("java")
            .args(self.arguments("kafka.Kafka"))
            .arg(self.directory.join(SETTINGS))
            .stdin(Stdio::null())
            .stdout(out_file.try_clone().map_err(Error::file(&out))?)
            .stderr(out_file)
            .process_group(0)
            .spawn()
            .map_err(|source| Error::Spawn { program: "java".into(), source })
    }
}

/// What Java says at the end, or where an exception has come from.
fn cause(text: &str) -> Option<&str> {
    let caused_by = text.lines().rfind(|line| line.starts_with("Caused by: "));
    let is_place = |line: &str| line.trim().is_empty() || line.starts_with(['\t', ' ']);
    caused_by.or_else(|| text.lines().rfind(|line| !is_place(line)))
}

#[cfg(test)]
mod tests {
    use super::{cause, major};

    #[test]
    fn an_exception_is_told_by_its_cause_and_not_by_its_last_place() {
        let first = "Exception in thread \"main\" A: no";
        let text = format!("{first}\n\tat a.b(C.java:1)\nCaused by: B: port\n\t... 8 more\n");
        assert_eq!(cause(&text), Some("Caused by: B: port"));
        assert_eq!(cause(&format!("{first}\n\tat a.b(C.java:1)\n")), Some(first));
        assert_eq!(cause("Error: no log\n"), Some("Error: no log"));
        assert_eq!(cause("\n"), None);
    }

    #[test]
    fn versions_old_and_new_are_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("java version \"1.8.0_392\""), Some(8));
        assert_eq!(major("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(major("something else"), None);
    }
}
