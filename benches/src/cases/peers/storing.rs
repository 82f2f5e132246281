//! The topic into PostgreSQL, by each side into the same table.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use tidegate_pgtest::Server;

use super::super::median;
use super::{PATIENCE, RECORDS, TOPIC, World, crossing, told};
use crate::findings::{Finding, Target};
use crate::peers::broker::Guarded;
use crate::peers::connect;
use crate::proc;
use crate::run::say;

/// The two sides in turn, so often; medians count.
const ROUNDS: usize = 3;

/// One side into PostgreSQL.
struct Stored {
    rows_per_s: f64,
    peak_mib: f64,
}

/// The same side, round after round.
#[derive(Default)]
struct Sides {
    rates: Vec<f64>,
    peaks_mib: Vec<f64>,
}

impl Sides {
    fn add(&mut self, stored: &Stored) {
        self.rates.push(stored.rows_per_s);
        self.peaks_mib.push(stored.peak_mib);
    }

    fn median(mut self) -> Stored {
        Stored { rows_per_s: median(&mut self.rates), peak_mib: median(&mut self.peaks_mib) }
    }
}

impl World<'_> {
    pub(super) fn store(&self, scratch: &Path) -> anyhow::Result<Vec<Finding>> {
        let mut findings = Vec::new();
        for (mode, wanted) in [(connect::Mode::Insert, "insert"), (connect::Mode::Upsert, "upsert")]
        {
            let (mut ours, mut theirs) = (Sides::default(), Sides::default());
            for round in 0..ROUNDS {
                say(&format!("peers: into PostgreSQL, {wanted}, round {round}"));
                ours.add(&self.ours_into_postgres(mode, round)?);
                let directory = scratch.join(format!("{wanted}-{round}"));
                let stored = self.connect_into_postgres(mode, round, &directory);
                self.keep(&directory, "connect.log")?;
                theirs.add(&stored?);
            }
            say(&format!("peers: {wanted}, rows/s: {:.0?}, {:.0?}", ours.rates, theirs.rates));
            let (ours, theirs) = (ours.median(), theirs.median());
            findings.extend(told(vec![
                Finding::new(
                    format!("{wanted}: tidegate"),
                    ours.rows_per_s,
                    "rows/s",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: Kafka Connect"),
                    theirs.rows_per_s,
                    "rows/s",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: ratio"),
                    ours.rows_per_s / theirs.rows_per_s,
                    "x",
                    Target::AtLeast(4.0),
                ),
                Finding::new(
                    format!("{wanted}: memory, tidegate"),
                    ours.peak_mib,
                    "MiB",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: memory, Kafka Connect"),
                    theirs.peak_mib,
                    "MiB",
                    Target::Told,
                ),
                Finding::new(
                    format!("{wanted}: memory, ratio"),
                    ours.peak_mib / theirs.peak_mib,
                    "x",
                    Target::AtMost(0.125),
                ),
            ]));
        }
        Ok(findings)
    }

    fn ours_into_postgres(&self, mode: connect::Mode, round: usize) -> anyhow::Result<Stored> {
        let server = server_with_table(mode)?;
        let url = server.url("tidegate");
        let group = format!("into-postgres-{mode:?}-{round}");
        let mut command =
            self.tidegate(&["consume", "--database", &url, "--database-connections", "2"]);
        command.args(["--config", "benches/profiles/peers.toml"]);
        command.args(["--group", &group]);
        let mapping = match mode {
            connect::Mode::Insert => "benches/profiles/insert.toml",
            connect::Mode::Upsert => "benches/profiles/upsert.toml",
        };
        command.args(["--mapping", mapping]);
        let guarded = Guarded(command.stderr(Stdio::null()).spawn()?);
        measure(&server, guarded, &self.kept.join(format!("tidegate-{mode:?}-{round}.csv")))
    }

    fn connect_into_postgres(
        &self,
        mode: connect::Mode,
        round: usize,
        directory: &Path,
    ) -> anyhow::Result<Stored> {
        let server = server_with_table(mode)?;
        let url = server.url("tidegate");
        let source = (self.bootstrap, TOPIC);
        let guarded = connect::start(self.peers, source, &url, (mode, round), directory)?;
        measure(&server, guarded, &self.kept.join(format!("connect-{mode:?}-{round}.csv")))
            .with_context(|| format!("Kafka Connect: see {}", directory.display()))
    }
}

fn server_with_table(mode: connect::Mode) -> anyhow::Result<Server> {
    let server = Server::start(&[])?;
    server.create_database("tidegate")?;
    server.psql("tidegate", connect::TABLE)?;
    if mode == connect::Mode::Upsert {
        server.psql("tidegate", "ALTER TABLE trades ADD PRIMARY KEY (trade_id)")?;
    }
    Ok(server)
}

/// Watches the table grow; ends the process. Its size tells the rows at any moment:
/// all rows are about as long, and the server's counters lag by up to ten seconds.
fn measure(server: &Server, guarded: Guarded, series: &Path) -> anyhow::Result<Stored> {
    let pid = guarded.0.id();
    let started = Instant::now();
    let mut points: Vec<(f64, f64)> = Vec::new();
    let mut peak_mib: f64 = 0.0;
    let mut csv = String::from("seconds,bytes\n");
    loop {
        std::thread::park_timeout(Duration::from_millis(500));
        let bytes = server
            .psql("tidegate", "SELECT coalesce(pg_relation_size(to_regclass('trades')), 0)")?
            .parse::<f64>()
            .context("size of the table")?;
        let now_s = started.elapsed().as_secs_f64();
        peak_mib = peak_mib.max(proc::peak_resident_mib(pid).context("the process has ended")?);
        let stands = points.last().is_some_and(|(_, last)| *last == bytes);
        if !stands {
            points.push((now_s, bytes));
            csv.push_str(&format!("{now_s:.2},{bytes}\n"));
        }
        if stands && bytes > 0.0 && rows(server)? == RECORDS {
            break;
        }
        if started.elapsed() > PATIENCE {
            bail!("only {} of {RECORDS} rows after {} s", rows(server)?, PATIENCE.as_secs());
        }
    }
    drop(guarded);
    std::fs::write(series, csv)?;
    let total = points.last().map_or(0.0, |(_, bytes)| *bytes);
    let took_s = crossing(&points, 0.95 * total) - crossing(&points, 0.1 * total);
    Ok(Stored { rows_per_s: 0.85 * RECORDS as f64 / took_s, peak_mib })
}

fn rows(server: &Server) -> anyhow::Result<u64> {
    server.psql("tidegate", "SELECT count(*) FROM trades")?.parse().context("rows")
}
