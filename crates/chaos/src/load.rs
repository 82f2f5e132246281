//! The load of a round: `tidegate produce` with a ledger, through the proxy.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rustix::process::Signal;

use crate::main_thread::MainThread;
use crate::plan::Round;
use crate::pods::{guarded, send};
use crate::stop::Stop;

/// Records that cannot be decoded, in a million.
const POISON_PER_MILLION: u32 = 3_000;
/// The producer's own time for the last acknowledgements, and some more.
const FLUSH_LIMIT: Duration = Duration::from_secs(90);

/// A running producer.
pub(crate) struct Load {
    child: Child,
    pub(crate) ledger: PathBuf,
    log: PathBuf,
}

impl Load {
    pub(crate) fn start(
        main: &MainThread,
        binary: &Path,
        brokers: &str,
        topic: &str,
        round: &Round,
        directory: &Path,
    ) -> anyhow::Result<Self> {
        let profile = directory.join("load.toml");
        std::fs::write(&profile, profile_text(round))?;
        let (ledger, log) = (directory.join("ledger"), directory.join("produce.log"));
        let mut command = guarded(binary)?;
        command
            .args(["produce", "--brokers", brokers, "--topic", topic, "--metrics-addr", "off"])
            .arg("--profile")
            .arg(&profile)
            .arg("--ledger")
            .arg(&ledger)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?);
        Ok(Self { child: main.spawn(command)?, ledger, log })
    }

    /// Whether it still sends; a producer that ends by itself has failed.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("the producer ended by itself with {status}: {}", self.words()),
        }
    }

    /// Ends it; everything that it sent was acknowledged or given up.
    pub(crate) fn finish(&mut self, stop: &Stop) -> anyhow::Result<()> {
        send(self.child.id(), Signal::TERM);
        let status = stop.wait(FLUSH_LIMIT, || self.child.try_wait().ok().flatten());
        match status {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the producer ended with {status}: {}", self.words()),
            None if stop.is_set() => Ok(()),
            None => bail!("the producer did not end within {} s", FLUSH_LIMIT.as_secs()),
        }
    }

    fn words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().next_back().unwrap_or("it wrote no log").to_owned()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A thousand keys: each comes about once a second, so that order is worth auditing.
fn profile_text(round: &Round) -> String {
    format!(
        "seed = {}\nkeys = 1000\narrivals = \"poisson\"\npoison_per_million = {POISON_PER_MILLION}\n\
         phases = [{{ kind = \"step\", rate_per_s = {}.0, duration_s = 86400.0 }}]\n",
        round.load_seed, round.rate_per_s
    )
}

/// What the ledger says was sent.
pub(crate) struct Sent {
    /// Next offset of each partition after the last acknowledged record.
    pub(crate) ends: std::collections::BTreeMap<i32, i64>,
    pub(crate) records: u64,
    pub(crate) poison: u64,
}

impl Sent {
    pub(crate) fn read(ledger: &Path) -> anyhow::Result<Self> {
        let ledger = tidegate_load::ledger::Ledger::read(ledger).context("ledger")?;
        let mut ends = std::collections::BTreeMap::new();
        for record in &ledger.acked {
            let end = ends.entry(record.partition).or_insert(0);
            *end = (*end).max(record.offset + 1);
        }
        let poison = ledger.acked.iter().filter(|record| record.kind.is_poison()).count() as u64;
        Ok(Self { ends, records: ledger.acked.len() as u64, poison })
    }
}
