//! Stock KEDA and HPA against the slo law, in the simulator; the tables of `docs/laws.md`:
//! `cargo run --release -p tidegate-plan --example laws -- --results benches/runs/DATE/laws`
//!
//! Every run is simulated with the decision code that runs elsewhere. The stock law is
//! tuned by the search of `tidegate tune`, each scenario for itself; the slo law has the
//! same settings everywhere but for the promise and what an operator would know of his
//! pods, and is then tuned by the same search too. Searches see seeds that the tables
//! are not made with.
//!
//! # Layout
//! - `figures`: what a run is judged by
//! - `tuned`: settings that the search of `tidegate tune` finds
//! - `spike`: the published spike; `cheapest`: its cheapest schedule, by search
//! - `suite`: twelve further scenarios; `promises`: what the law is told to keep in each
#![allow(clippy::print_stdout)]

mod cheapest;
mod figures;
#[path = "../../../sim/tests/support/promises.rs"]
mod promises;
mod spike;
mod suite;
mod tuned;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

const USAGE: &str = "laws [--results DIR] [spike|suite|SCENARIO]";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut results, mut only) = (None, None);
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--results" => results = Some(PathBuf::from(words.next().ok_or(USAGE)?)),
            "spike" | "suite" => only = Some(word),
            name if suite::names().any(|known| known == name) => only = Some(word),
            _ => return Err(format!("{word:?}: {USAGE}").into()),
        }
    }
    if only.as_deref().is_none_or(|only| only == "spike") {
        keep(results.as_deref(), "spike.md", &spike::table(results.as_deref())?)?;
    }
    let one = only.as_deref().filter(|only| !["spike", "suite"].contains(only));
    if only.as_deref() != Some("spike") {
        keep(results.as_deref(), "suite.md", &suite::table(one, results.as_deref())?)?;
    }
    Ok(())
}

/// Prints a result and writes it where results go.
fn keep(results: Option<&Path>, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
    println!("{text}");
    if let Some(results) = results {
        fs::create_dir_all(results)?;
        fs::write(results.join(name), text)?;
    }
    Ok(())
}
