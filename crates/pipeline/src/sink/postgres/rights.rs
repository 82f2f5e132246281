//! What keeps a role from writing, told before a record is read: a relation that takes no COPY,
//! a right that it does not have.
//!
//! Only the catalog is asked: nothing here waits for a lock.

use tidegate_postgres::tokio_postgres::types::{ToSql, Type};
use tidegate_postgres::tokio_postgres::{Client, Error};

use super::schema::rows;
use crate::table::{Drift, TableShape};

/// Bits of `tgtype`: FOR EACH ROW 1, INSERT 4, INSTEAD OF 64.
const SELECT_TABLE: &str = "SELECT current_user::text, c.relkind::text, row_security_active(c.oid), \
       EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t \
         WHERE t.tgrelid = c.oid AND t.tgtype & 69 = 69), \
       NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
         AND a.attname = ANY ($2) AND NOT has_column_privilege(c.oid, a.attnum, 'INSERT')), \
       NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
         AND a.attname = ANY ($3) AND NOT has_column_privilege(c.oid, a.attnum, 'UPDATE')), \
       NOT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid \
         AND a.attname = ANY ($4) AND NOT has_column_privilege(c.oid, a.attnum, 'SELECT')) \
     FROM pg_catalog.pg_class c WHERE c.oid = to_regclass($1)";

/// A table of our own that is not there yet will be ours.
const SELECT_OWN: &str = "SELECT current_user::text, t, p FROM (VALUES \
       ('positions', 'SELECT'), ('positions', 'INSERT'), ('positions', 'UPDATE'), \
       ('dead_letters', 'INSERT')) AS v (t, p) \
     WHERE to_regclass(t) IS NOT NULL AND NOT has_any_column_privilege(to_regclass(t), p)";

/// Each with what to do about it; none if the role can write.
pub(super) async fn lacking(client: &Client, shape: &TableShape) -> Result<Vec<Drift>, Error> {
    let table = shape.quoted_table();
    let written: Vec<&str> = shape.written().map(|column| column.name.as_str()).collect();
    let key = shape.key();
    let is_replaced = |name: &&str| !key.is_empty() && !key.iter().any(|key| key == name);
    let replaced: Vec<&str> = written.iter().copied().filter(is_replaced).collect();
    // `SET price = EXCLUDED.price` reads the column.
    let read: &[&str] = if key.is_empty() { &[] } else { &written };
    let values: [(&(dyn ToSql + Sync), Type); 4] = [
        (&table, Type::TEXT),
        (&written, Type::TEXT_ARRAY),
        (&replaced, Type::TEXT_ARRAY),
        (&read, Type::TEXT_ARRAY),
    ];
    let mut lacking: Vec<String> = Vec::new();
    let name = &shape.table;
    for row in rows(client, SELECT_TABLE, &values).await? {
        let (role, kind): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let has_trigger: bool = row.try_get(3)?;
        match kind.as_str() {
            "r" | "p" | "f" => {}
            "v" if has_trigger => {}
            "v" => lacking.push(format!("{name} is a view without an INSTEAD OF INSERT trigger")),
            _ => lacking.push(format!("{name} is no table: nothing can be written into it")),
        }
        if row.try_get(2)? {
            lacking.push(format!(
                "{name} has row-level security, which COPY does not work with: give {role} BYPASSRLS"
            ));
        }
        for (column, right) in [(4, "INSERT"), (5, "UPDATE"), (6, "SELECT")] {
            if !row.try_get::<_, bool>(column)? {
                lacking.push(no_right(&role, right, &table));
            }
        }
    }
    Ok(lacking.into_iter().map(drift).collect())
}

/// The same for the tables of the program's own.
pub(super) async fn lacking_of_own(client: &Client) -> Result<Vec<Drift>, Error> {
    let found = rows(client, SELECT_OWN, &[]).await?;
    found
        .iter()
        .map(|row| {
            let (role, table, right): (String, String, String) =
                (row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
            Ok(drift(no_right(&role, &right, &table)))
        })
        .collect()
}

fn no_right(role: &str, right: &str, table: &str) -> String {
    format!("{role} has no right to {right}: GRANT {right} ON {table} TO {role}")
}

fn drift(what: String) -> Drift {
    Drift { column: String::new(), what, is_error: true }
}
