//! What a person watches while a world runs: a block that redraws itself on a
//! terminal, one line every five seconds elsewhere. On stderr.

use std::io::{IsTerminal, Write};

use tidegate_local::world::Snapshot;

const PLAIN_EVERY: u32 = 5;
const BAR_WIDTH: usize = 40;

pub(crate) struct StatusView {
    terminal: bool,
    drawn_lines: usize,
    count: u32,
}

impl StatusView {
    pub(crate) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), drawn_lines: 0, count: 0 }
    }

    pub(crate) fn show(&mut self, snapshot: &Snapshot) {
        if self.terminal {
            self.redraw(&block(snapshot));
        } else {
            if self.count.is_multiple_of(PLAIN_EVERY) {
                tracing::info!("{}", line(snapshot));
            }
            self.count += 1;
        }
    }

    fn redraw(&mut self, lines: &[String]) {
        let mut out = String::new();
        if self.drawn_lines > 0 {
            out.push_str(&format!("\x1b[{}A", self.drawn_lines));
        }
        for line in lines {
            out.push_str("\x1b[2K");
            out.push_str(line);
            out.push('\n');
        }
        self.drawn_lines = lines.len();
        let mut stderr = anstream::stderr().lock();
        let _ = stderr.write_all(out.as_bytes());
        let _ = stderr.flush();
    }
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

fn block(s: &Snapshot) -> Vec<String> {
    let target =
        s.target_rate_per_s.map_or_else(|| "over".to_owned(), |rate| format!("{rate:.0}/s"));
    let change = match &s.last_change {
        Some((at_s, words)) => format!("at {at_s:.0} s: {words}"),
        None => "none yet".into(),
    };
    let pods = s.ready.max(0) as usize;
    let bar: String = "█".repeat(pods.min(BAR_WIDTH))
        + &"░".repeat((s.current.max(0) as usize).saturating_sub(pods).min(BAR_WIDTH));
    vec![
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
        format!("   decision {}", clipped(&change, 100)),
    ]
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
        assert_eq!(block(&calm).len(), block(&busy).len());
        assert!(block(&busy).iter().all(|line| line.chars().count() < 130));
    }
}
