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

use tuned::Tries;

const USAGE: &str = "laws [--results DIR] [--tries STOCK,SLO] [spike|suite|SCENARIO]...";

fn main() -> Result<(), Box<dyn Error>> {
    let (mut results, mut only, mut tries) = (None, Vec::new(), Tries::default());
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--results" => results = Some(PathBuf::from(words.next().ok_or(USAGE)?)),
            "--tries" => tries = Tries::read(&words.next().ok_or(USAGE)?).ok_or(USAGE)?,
            "spike" | "suite" => only.push(word),
            name if suite::names().any(|known| known == name) => only.push(word),
            _ => return Err(format!("{word:?}: {USAGE}").into()),
        }
    }
    let all = |part: &str| only.is_empty() || only.iter().any(|only| only == part);
    let results = results.as_deref();
    if all("spike") {
        let text = spike::table(results)?;
        println!("{text}");
        keep(results, "spike.md", &text)?;
    }
    let named: Vec<&str> = suite::names()
        .filter(|name| all("suite") || only.iter().any(|only| only == name))
        .collect();
    if !named.is_empty() {
        println!("{}", suite::table(&named, tries, results)?);
    }
    Ok(())
}

/// Writes a result where results go.
fn keep(results: Option<&Path>, name: &str, text: &str) -> Result<(), Box<dyn Error>> {
    if let Some(results) = results {
        fs::create_dir_all(results)?;
        fs::write(results.join(name), text)?;
    }
    Ok(())
}
