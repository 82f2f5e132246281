//! What a person watches while a world runs: a block that redraws itself on a
//! terminal, one line every five seconds elsewhere. On stderr, which it shares with
//! the log: a log line takes the block away first, and the next second puts it back.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tidegate_local::world::Snapshot;

const PLAIN_EVERY: u32 = 5;
const BAR_WIDTH: usize = 40;
/// Where the terminal does not tell.
const DEFAULT_COLUMNS: usize = 100;

/// Lines of the block that are on the screen, above the cursor.
static DRAWN_LINES: Mutex<usize> = Mutex::new(0);

fn drawn_lines() -> MutexGuard<'static, usize> {
    DRAWN_LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes log lines to stderr, around the block.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let mut drawn = drawn_lines();
        let mut stderr = io::stderr().lock();
        stderr.write_all(erased(&mut drawn).as_bytes())?;
        stderr.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// What takes the block off the screen.
fn erased(drawn: &mut usize) -> String {
    match std::mem::take(drawn) {
        0 => String::new(),
        lines => format!("\r\x1b[{lines}A\x1b[J"),
    }
}

pub(crate) struct StatusView {
    terminal: bool,
    count: u32,
}

impl StatusView {
    pub(crate) fn new() -> Self {
        Self { terminal: io::stderr().is_terminal(), count: 0 }
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        if self.terminal {
            redraw(&block(snapshot, columns()));
        } else {
            if self.count.is_multiple_of(PLAIN_EVERY) {
                tracing::info!("{}", line(snapshot));
            }
            self.count += 1;
        }
    }
}

fn columns() -> usize {
    rustix::termios::tcgetwinsize(io::stderr())
        .map_or(DEFAULT_COLUMNS, |size| usize::from(size.ws_col))
        .max(20)
}

fn redraw(lines: &[String]) {
    let mut drawn = drawn_lines();
    let mut out = erased(&mut drawn);
    for line in lines {
        out.push_str(line);
        out.push('\n');
    }
    *drawn = lines.len();
    let mut stderr = anstream::stderr().lock();
    let _ = stderr.write_all(out.as_bytes());
    let _ = stderr.flush();
}

fn line(s: &Snapshot) -> String {
    format!(
        "{:>4.0} s  in {:>6.0}/s  out {:>6.0}/s  lag {:>7}  oldest {:>5.1} s  pods {}/{} ready of {}  {}",
        s.elapsed_s,
        s.rate_in_per_s,
        s.rate_out_per_s,
        s.lag_records,
        s.oldest_age_s,
        s.ready,
        s.current,
        s.desired,
        s.phase
    )
}

fn block(s: &Snapshot, columns: usize) -> Vec<String> {
    let target =
        s.target_rate_per_s.map_or_else(|| "over".to_owned(), |rate| format!("{rate:.0}/s"));
    let change = match &s.last_change {
        Some((at_s, words)) => format!("at {at_s:.0} s: {words}"),
        None => "none yet".into(),
    };
    let pods = s.ready.max(0) as usize;
    let bar: String = "█".repeat(pods.min(BAR_WIDTH))
        + &"░".repeat((s.current.max(0) as usize).saturating_sub(pods).min(BAR_WIDTH));
    let lines = [
        format!(
            "── {:.0} s · {} · load {target} · sent {} · processed {}",
            s.elapsed_s, s.phase, s.sent, s.processed
        ),
        format!("   rate     in {:>7.0}/s   out {:>7.0}/s", s.rate_in_per_s, s.rate_out_per_s),
        format!("   waiting  {:>7} records, the oldest {:.1} s", s.lag_records, s.oldest_age_s),
        format!(
            "   pods     {bar} {} ready, {} wanted, {} draining",
            s.ready, s.desired, s.draining
        ),
        format!("   decision {change}"),
    ];
    // A line that wraps would be two.
    lines.iter().map(|line| clipped(line, columns - 1)).collect()
}

fn clipped(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_block_always_has_the_same_height() {
        let calm = Snapshot::default();
        let busy = Snapshot {
            current: 90,
            ready: 70,
            desired: 90,
            last_change: Some((3.0, "word ".repeat(100))),
            ..Snapshot::default()
        };
        for columns in [20, 80, 200] {
            assert_eq!(block(&calm, columns).len(), block(&busy, columns).len());
            assert!(block(&busy, columns).iter().all(|line| line.chars().count() < columns));
        }
    }
}
