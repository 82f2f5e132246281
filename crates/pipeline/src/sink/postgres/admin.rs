//! Creating and checking a table without writing into it.

use tidegate_postgres::tokio_postgres::Error;
use tidegate_postgres::{Connected, connect};

use super::classify::{connect_error, sink_error};
use super::{PostgresOptions, schema};
use crate::sink::SinkError;
use crate::table::{Drift, TableShape};

pub(super) async fn connected(options: &PostgresOptions) -> Result<Connected, SinkError> {
    connect(&options.connection(), "tidegate")
        .await
        .map_err(|error| connect_error(&format!("connecting to {}", options.url), &error))
}

pub(crate) async fn create(options: &PostgresOptions, shape: &TableShape) -> Result<(), SinkError> {
    let failed =
        |error: Error| sink_error(&format!("creating the tables of {}", options.url), &error);
    schema::create(&connected(options).await?.client, shape).await.map_err(failed)
}

pub(crate) async fn check(
    options: &PostgresOptions,
    shape: &TableShape,
) -> Result<Option<Vec<Drift>>, SinkError> {
    let failed = |error: Error| {
        sink_error(&format!("reading the columns of {} in {}", shape.table, options.url), &error)
    };
    schema::drift(&connected(options).await?.client, shape).await.map_err(failed)
}
