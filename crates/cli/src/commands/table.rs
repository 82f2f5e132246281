//! `tidegate table`: the table of a mapping, created or compared.

use super::parts;
use crate::args::{TableArgs, TableCheckArgs, TableCommand, TableCreateArgs};
use crate::exit::Outcome;

pub(super) fn run(args: &TableArgs) -> anyhow::Result<Outcome> {
    match &args.what {
        TableCommand::Create(args) => create(args),
        TableCommand::Check(args) => check(args),
    }
}

fn create(args: &TableCreateArgs) -> anyhow::Result<Outcome> {
    let table = parts::table_kind(args.mapping.as_deref())?;
    let database = parts::sink_database(&args.database)?;
    if !args.apply {
        anstream::print!("{}", table.ddl(&database));
        return Ok(Outcome::Done);
    }
    let created = async {
        table.create(&database).await?;
        table.check(&database).await
    };
    let drifts = parts::runtime()?.block_on(created)?.unwrap_or_default();
    if let Some(lines) = tidegate_pipeline::table::drift_lines(&drifts) {
        anyhow::bail!("{database}: table {} was there already: {lines}", table.name());
    }
    anstream::eprintln!("{database}: table {} is there", table.name());
    Ok(Outcome::Done)
}

fn check(args: &TableCheckArgs) -> anyhow::Result<Outcome> {
    let table = parts::table_kind(args.mapping.as_deref())?;
    let database = parts::sink_database(&args.database)?;
    let Some(drifts) = parts::runtime()?.block_on(table.check(&database))? else {
        anyhow::bail!("{database}: there is no table {}", table.name());
    };
    if args.json {
        anstream::println!("{}", serde_json::to_string_pretty(&drifts)?);
    } else {
        for drift in &drifts {
            anstream::println!("{}: {drift}", if drift.is_error { "error" } else { "note" });
        }
    }
    let errors = drifts.iter().filter(|drift| drift.is_error).count();
    if errors > 0 {
        anyhow::bail!("{database}: table {} does not fit in {errors} places", table.name());
    }
    anstream::eprintln!("{database}: table {} fits", table.name());
    Ok(Outcome::Done)
}
