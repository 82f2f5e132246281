//! What an administrator or another client does to the database.

use std::time::Duration;

use anyhow::Context as _;
use rusqlite::{Connection, TransactionBehavior};
use serde_json::json;
use tidegate_pgtest::Psql;

use super::{Outcome, World};
use crate::store::Store;

/// How long a change of the server's mind is tried.
const PATIENCE: Duration = Duration::from_secs(60);

/// Every session but our own.
fn terminate_sql(database: &str) -> String {
    format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    )
}

pub(super) fn terminate(world: &World) -> anyhow::Result<Outcome> {
    let Store::Postgres { psql, database, .. } = &world.store else {
        return Ok(Outcome::nobody());
    };
    let ended = psql.psql("postgres", &terminate_sql(database)).ok();
    let ended = ended.and_then(|count| count.parse::<u32>().ok()).unwrap_or(0);
    Ok(Outcome::seen(ended > 0, json!({ "sessions": ended })))
}

/// Sessions are ended once, so that the pods see the other mind; back in the first
/// they have to come by themselves.
pub(super) fn read_only(world: &World, time: Duration) -> anyhow::Result<Outcome> {
    let Store::Postgres { psql, database, .. } = &world.store else {
        return Ok(Outcome::nobody());
    };
    let setting = "default_transaction_read_only";
    let set = format!("ALTER DATABASE {database} SET {setting} = on");
    if psql.psql("postgres", &set).is_err() {
        return Ok(Outcome::nobody());
    }
    let outcome = terminate(world)?;
    world.stop.sleep(time);
    let is_on = psql.psql(database, &format!("SHOW {setting}")).is_ok_and(|value| value == "on");
    until_done(world, psql, &format!("ALTER DATABASE {database} RESET {setting}"))?;
    Ok(Outcome::seen(outcome.took_effect && is_on, outcome.seen))
}

fn until_done(world: &World, psql: &Psql, sql: &str) -> anyhow::Result<()> {
    let mut last = None;
    let done = world.stop.wait(PATIENCE, || match psql.psql("postgres", sql) {
        Ok(_) => Some(()),
        Err(error) => {
            last = Some(error);
            None
        }
    });
    if done.is_none() && !world.stop.is_set() {
        return Err(last.context("no time")?).context(sql.to_owned());
    }
    Ok(())
}

/// Takes effect when somebody was seen to wait for the lock.
pub(super) fn lock(world: &World, time: Duration) -> anyhow::Result<Outcome> {
    match &world.store {
        Store::Postgres { psql, database, .. } => lock_postgres(world, psql, database, time),
        Store::Sqlite { path } => {
            let mut connection = Connection::open(path)?;
            connection.busy_timeout(PATIENCE)?;
            let held = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let before = world.store.positions()?;
            world.stop.sleep(time);
            let nobody_wrote = world.store.positions()? == before;
            held.rollback()?;
            Ok(Outcome::seen(nobody_wrote, json!({ "nobody_wrote": nobody_wrote })))
        }
    }
}

fn lock_postgres(
    world: &World,
    psql: &Psql,
    database: &str,
    time: Duration,
) -> anyhow::Result<Outcome> {
    let hold = format!(
        "BEGIN; LOCK TABLE positions IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep({}); COMMIT",
        time.as_secs_f64()
    );
    let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    let mut most = 0;
    let held = std::thread::scope(|scope| {
        let holder = scope.spawn(|| psql.psql(database, &hold));
        while !holder.is_finished() {
            let now = psql.psql("postgres", waiting).ok().and_then(|count| count.parse().ok());
            most = most.max(now.unwrap_or(0));
            std::thread::sleep(Duration::from_millis(100));
        }
        holder.join().is_ok_and(|held| held.is_ok())
    });
    let _ = world;
    Ok(Outcome::seen(held && most > 0, json!({ "held": held, "waiting": most })))
}
