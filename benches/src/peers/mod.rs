//! What tidegate is measured against: Kafka Connect with the Debezium JDBC sink, Kafka's
//! performance tools, kcat. Fetched by Maven once, into the user's cache.
//!
//! - `connect`: a standalone worker with one sink
//! - `perf`: the producer and the consumer of Kafka's tools, kcat
//! - `broker`: a broker that lasts as long as a case

pub(crate) mod broker;
pub(crate) mod connect;
pub(crate) mod perf;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::run::say;

const POM: &str = include_str!("../../assets/peers-pom.xml");
const DEBEZIUM: &str = "io.debezium:debezium-connector-jdbc:3.6.0.Final:tar.gz:plugin";
const DEPENDENCY_PLUGIN: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1";

/// Jars of the peers.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    pub(crate) class_path: String,
    pub(crate) plugins: PathBuf,
}

impl Peers {
    /// Finds them in the cache, or fetches them.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let cache = cache_dir()?.join("peers-4.3.1");
        let complete = cache.join("complete");
        if !complete.exists() {
            say(
                "peers: fetching Kafka Connect and the Debezium JDBC sink with Maven (about 150 MB, once)",
            );
            fetch(&cache)?;
            fs::write(&complete, "")?;
        }
        let jars = files(&cache.join("libs"))?;
        let class_path =
            jars.iter().map(|jar| jar.display().to_string()).collect::<Vec<_>>().join(":");
        Ok(Self { class_path, plugins: cache.join("plugins") })
    }

    /// `java` with everything on its class path and the JVM's own defaults for speed.
    pub(crate) fn java(&self, heap_mib: u32, log: &Path) -> anyhow::Result<Command> {
        let logging = log.with_extension("log4j2.properties");
        fs::write(&logging, logging_to(log))?;
        let mut command = Command::new("java");
        command
            .arg(format!("-Xmx{heap_mib}m"))
            .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
            .args(["-cp", &self.class_path]);
        Ok(command)
    }
}

fn logging_to(log: &Path) -> String {
    format!(
        "status=error\nappenders=file\nappender.file.type=File\nappender.file.name=file\n\
         appender.file.fileName={}\nappender.file.layout.type=PatternLayout\n\
         appender.file.layout.pattern=[%d] %p %m%n\nrootLogger.level=warn\n\
         rootLogger.appenderRefs=file\nrootLogger.appenderRef.file.ref=file\n",
        log.display()
    )
}

fn cache_dir() -> anyhow::Result<PathBuf> {
    use etcetera::BaseStrategy as _;
    Ok(etcetera::choose_base_strategy()?.cache_dir().join("tidegate"))
}

fn fetch(cache: &Path) -> anyhow::Result<()> {
    if cache.exists() {
        fs::remove_dir_all(cache)?;
    }
    fs::create_dir_all(cache)?;
    let pom = cache.join("pom.xml");
    fs::write(&pom, POM)?;
    maven(
        Command::new("mvn")
            .args(["-B", "-q", "-f"])
            .arg(&pom)
            .arg(format!("{DEPENDENCY_PLUGIN}:copy-dependencies"))
            .arg(format!("-DoutputDirectory={}", cache.join("libs").display()))
            .arg("-DincludeScope=runtime"),
    )?;
    let archives = cache.join("archives");
    maven(
        Command::new("mvn")
            .args(["-B", "-q"])
            .arg(format!("{DEPENDENCY_PLUGIN}:copy"))
            .arg(format!("-Dartifact={DEBEZIUM}"))
            .arg(format!("-DoutputDirectory={}", archives.display())),
    )?;
    let plugins = cache.join("plugins");
    fs::create_dir_all(&plugins)?;
    for archive in files(&archives)? {
        let status = Command::new("tar").arg("xzf").arg(&archive).arg("-C").arg(&plugins).status();
        ensure!(status.context("tar")?.success(), "tar cannot unpack {}", archive.display());
    }
    Ok(())
}

fn maven(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().context("mvn: install Maven")?;
    ensure!(output.status.success(), "mvn: {}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}

fn files(directory: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .with_context(|| directory.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.sort();
    Ok(files)
}
