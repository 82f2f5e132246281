//! How far a search is: a bar on a terminal, a line for each tenth elsewhere.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use tidegate_plan::tune::Progress;

/// What was shown last, and since when.
pub(super) struct View {
    began: Instant,
    evaluated_before: u64,
    is_terminal: bool,
    tenth: u64,
}

impl View {
    pub(super) fn new(progress: Progress) -> Self {
        Self {
            began: Instant::now(),
            evaluated_before: progress.evaluated,
            is_terminal: std::io::stderr().is_terminal(),
            tenth: 10 * progress.evaluated / progress.configurations.max(1),
        }
    }

    pub(super) fn show(&mut self, progress: &Progress, is_last: bool) {
        let tenth = 10 * progress.evaluated / progress.configurations.max(1);
        let line = self.line(progress);
        if self.is_terminal {
            const WIDTH: u64 = 24;
            let full = WIDTH * progress.evaluated / progress.configurations.max(1);
            let bar: String = (0..WIDTH).map(|cell| if cell < full { '█' } else { '░' }).collect();
            let end = if is_last { "\n" } else { "" };
            let mut stderr = anstream::stderr().lock();
            let _ = write!(stderr, "\r\x1b[2K{bar} {line}{end}");
            let _ = stderr.flush();
        } else if tenth > self.tenth || is_last {
            anstream::eprintln!("{line}");
        }
        self.tenth = tenth;
    }

    fn line(&self, progress: &Progress) -> String {
        let done = progress.evaluated - self.evaluated_before;
        let took = self.began.elapsed();
        let left = progress.configurations - progress.evaluated.min(progress.configurations);
        let left = took.mul_f64(left as f64 / done.max(1) as f64);
        let best = match (progress.best_age_s, progress.best_cost) {
            (Some(age), Some(cost)) => {
                format!(
                    ", age from {age:.1} s, pod-seconds from {cost:.0}, front {}",
                    progress.front
                )
            }
            _ => String::new(),
        };
        format!(
            "{} of {} configurations in {}{best}, {} left",
            progress.evaluated,
            progress.configurations,
            seconds(took),
            seconds(left)
        )
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.0} s", time.as_secs_f64())
}
