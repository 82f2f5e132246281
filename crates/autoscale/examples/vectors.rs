//! Replays a vector file against the decision code:
//! `cargo run --release -p tidegate-autoscale --example vectors -- FILE`

#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../tests/support/vectors.rs"]
mod vectors;

use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(file) = std::env::args().nth(1) else {
        eprintln!("usage: vectors FILE");
        return ExitCode::from(2);
    };
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => {
            eprintln!("{file}: {error}");
            return ExitCode::from(2);
        }
    };
    match vectors::replay(&text) {
        Err(error) => {
            eprintln!("{file}: {error}");
            ExitCode::from(2)
        }
        Ok(replay) => {
            for failure in &replay.failures {
                println!(
                    "FAILED {}: expected {}, got {}",
                    failure.id, failure.expected, failure.got
                );
            }
            println!("{} passed, {} failed", replay.passed, replay.failures.len());
            ExitCode::from(u8::from(!replay.failures.is_empty()))
        }
    }
}
