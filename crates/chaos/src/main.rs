//! Faults against real processes, real Kafka and real databases; after each round an
//! audit.
//!
//! Contract: what happens when is a function of the seed (`plan`); only faults that
//! were seen to take effect count; the first thing that must not happen ends the run
//! with exit code 3, the seed, the round and the trace. Nothing outlives the suite.
//!
//! Threads: the main thread starts processes and nothing else (the kernel ends them
//! with that thread); the suite has one; each fault has one while it lasts.
//!
//! # Layout
//! - `args`: the command line
//! - `plan/`: what will happen, pure
//! - `servers`, `proxy/`: broker and database, each behind a proxy
//! - `pods`, `load`: the processes under test
//! - `faults/`: carried out and verified
//! - `round`: load, faults, quiet, drain
//! - `store`, `check`: what must hold
//! - `trace`: JSON lines and counts
//! - `main_thread`, `stop`: how it is held together

mod args;
mod check;
mod faults;
mod load;
mod main_thread;
mod plan;
mod pods;
mod proxy;
mod round;
mod run;
mod servers;
mod stop;
mod store;
mod trace;

use std::process::ExitCode;

use clap::Parser as _;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(Command::ExecGuarded { parent, command }) = &args.command {
        let error = tidegate_local::process::exec_guarded(*parent, command);
        say(&format!("tidegate-chaos: {error}"));
        return ExitCode::FAILURE;
    }
    match run::run(args) {
        Ok(code) => code,
        Err(error) => {
            say(&format!("tidegate-chaos: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the person who waits.
fn say(text: &str) {
    anstream::eprintln!("{text}");
}
