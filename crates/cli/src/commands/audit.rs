//! `tidegate audit`: ledger against database.

use super::parts;
use crate::args::AuditArgs;
use crate::exit::{Outcome, bad_input};

pub(super) fn run(args: &AuditArgs) -> anyhow::Result<Outcome> {
    let database = parts::database(&args.database, args.password_file.as_deref())?;
    let report = tidegate_load::audit::audit(&args.ledger, &database)
        .map_err(|error| bad_input(error.to_string()))?;
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        anstream::println!("{report}");
    }
    Ok(if report.passed() { Outcome::Done } else { Outcome::PromiseBroken })
}
