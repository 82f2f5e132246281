//! A Kafka and a PostgreSQL server for a script that is none of ours to start:
//! `cargo run -p tidegate-local --example servers -- DIRECTORY TOPIC PARTITIONS GROUP`
//!
//! Creates the topic and a database, pins the group's start offsets, prints one JSON
//! line with the addresses, and ends both servers when its input closes.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::ffi::OsString;
use std::io::Read as _;
use std::path::Path;

use tidegate_kafka::{Admin, ConnectionOptions};
use tidegate_local::broker::{Broker, Distribution};
use tidegate_local::process::exec_guarded;
use tidegate_pgtest::Server;

const USAGE: &str = "usage: servers DIRECTORY TOPIC PARTITIONS GROUP";
const DATABASE: &str = "trades";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    // The broker starts itself through this program, so that it ends with it.
    if arguments.first().is_some_and(|first| first == "exec-guarded") {
        return Err(guarded(&arguments).into());
    }
    let arguments: Vec<String> = arguments
        .into_iter()
        .map(|text| text.into_string().map_err(|_| USAGE))
        .collect::<Result<_, _>>()?;
    let [directory, topic, partitions, group] = arguments.as_slice() else {
        return Err(USAGE.into());
    };
    let partitions: i32 =
        partitions.parse().map_err(|_| format!("PARTITIONS {partitions}: not a number"))?;

    let postgres = Server::start(&["max_connections=300"])?;
    postgres.create_database(DATABASE)?;
    let distribution = Distribution::find(&mut |line| eprintln!("{line}"))?;
    let broker = Broker::start(&distribution, &Path::new(directory).join("kafka"))?;
    let admin = Admin::new(&ConnectionOptions::new(broker.bootstrap()))?;
    admin.create_topic(topic, partitions, -1, &[])?;
    admin.pin_start_offsets(group, topic)?;
    println!(
        "{}",
        serde_json::json!({
            "bootstrap": broker.bootstrap(),
            "broker_pid": broker.pid(),
            "database": postgres.url(DATABASE),
        })
    );

    // Whoever started it holds the other end.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    broker.stop();
    Ok(())
}

/// `exec-guarded --parent=PID -- COMMAND ...`; only returns when it failed.
fn guarded(arguments: &[OsString]) -> String {
    let parent =
        arguments.get(1).and_then(|text| text.to_str()?.strip_prefix("--parent=")?.parse().ok());
    match (parent, arguments.get(3..)) {
        (Some(parent), Some(command)) => exec_guarded(parent, command).to_string(),
        _ => USAGE.to_owned(),
    }
}
