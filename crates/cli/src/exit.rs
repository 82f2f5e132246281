//! Exit codes, decided in this one place.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done; for `up` and `audit`: every promise was kept |
//! | 1 | something failed while running; the line says what |
//! | 2 | bad input: a flag, an environment variable or a file |
//! | 3 | a promise was broken: records lost, duplicated or out of order; for `plan` and `tune`: a bound that nothing keeps |
//! | 4 | `check` found an error; with `--deny-warnings` a warning |
//! | 130 | interrupted before it could finish |

use std::panic::PanicHookInfo;
use std::process::ExitCode;

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything asked for was done.
    Done,
    /// It ran to its end and the audit, or the simulator, found a broken promise.
    PromiseBroken,
    /// It ran to its end and the files have defects.
    Findings,
    /// A second interrupt, or an interrupt with nothing to finish.
    Interrupted,
}

/// Marks an error as the caller's: exit code 2 instead of 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadInput(pub(crate) String);

/// Shorthand for an [`anyhow::Error`] that ends with exit code 2.
pub(crate) fn bad_input(message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(BadInput(message.into()))
}

/// Prints an error as one line and turns the outcome into the exit code.
pub(crate) fn report(outcome: anyhow::Result<Outcome>) -> ExitCode {
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::PromiseBroken) => ExitCode::from(3),
        Ok(Outcome::Findings) => ExitCode::from(4),
        Ok(Outcome::Interrupted) => ExitCode::from(130),
        Err(error) => {
            anstream::eprintln!("tidegate: {}", one_line(&error));
            ExitCode::from(if error.is::<BadInput>() { 2 } else { 1 })
        }
    }
}

/// A full disk behind stdout is an error like others, with one line, and not a panic.
#[allow(clippy::exit)] // a hook has nobody to return an error to
pub(crate) fn tell_of_stdout() {
    let default = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| match stdout_failure(info) {
        Some(why) => {
            anstream::eprintln!("tidegate: stdout: {why}");
            std::process::exit(1);
        }
        None => default(info),
    }));
}

/// Why `println!` panicked, if it did.
fn stdout_failure(info: &PanicHookInfo<'_>) -> Option<String> {
    let text = info.payload().downcast_ref::<String>()?;
    text.strip_prefix("failed printing to stdout: ").map(str::to_owned)
}

/// The error and its causes, joined by `: `; a cause that its parent's text
/// already contains is not repeated.
fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let text = cause.to_string().replace('\n', " ");
        if line.is_empty() {
            line = text;
        } else if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_joined_once() {
        let inner = anyhow::anyhow!("disk full");
        let error = inner.context("write ledger").context("write ledger: disk full");
        assert_eq!(one_line(&error), "write ledger: disk full");
    }

    #[test]
    fn bad_input_survives_its_context() {
        let error = bad_input("batch_size: 0").context("config.toml");
        assert!(error.is::<BadInput>());
    }
}
