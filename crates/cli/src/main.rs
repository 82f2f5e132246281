//! The `tidegate` binary.
//!
//! Contract: arguments are parsed (`args`, pure), resolved against environment,
//! file and defaults (`config`), and handed to a library (`commands`). No logic
//! of the product lives here. Data goes to stdout, talk to stderr.
//!
//! Threads: every command runs a current-thread runtime on the main thread.
//! Children are spawned from it, which the parent-death signal of the local
//! world relies on. A multi-thread runtime was rejected: a pod is one of ninety
//! processes on a machine, and each worker thread costs memory and wake-ups.
//!
//! # Layout
//! - `args`: what can be typed, with help and examples
//! - `config`: flag > environment > file > default
//! - `logging`: text in the demo's format, or JSON
//! - `signals`: SIGINT, SIGTERM and a closed stdin as a shutdown
//! - `status`: what a person watches while a world runs
//! - `exit`: exit codes, and the one line an error becomes
//! - `commands`: one file a command

mod args;
mod commands;
mod config;
mod exit;
mod logging;
mod signals;
mod status;

use std::process::ExitCode;

fn main() -> ExitCode {
    exit::tell_of_stdout();
    exit::report(args::parse().and_then(commands::dispatch))
}
