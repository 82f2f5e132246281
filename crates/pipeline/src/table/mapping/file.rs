//! What can be written in a mapping file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use super::column::{ColumnFile, ColumnMapping, ColumnType};
use super::tree::Tree;
use super::{Mapping, RecordField, WriteMode};
use crate::table::DEFAULT_RECORD;

/// A mapping that cannot be used, in one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {reason}")]
pub struct MappingError {
    /// The file.
    pub name: String,
    /// Field, value and what is allowed.
    pub reason: String,
}

/// A name in PostgreSQL has at most this many bytes.
const NAME_BYTES_MAX: usize = 63;
/// PostgreSQL's limit on the columns of a table.
pub(super) const COLUMNS_MAX: usize = 1600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MappingFile {
    table: String,
    #[serde(default)]
    mode: Mode,
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    unknown_fields: UnknownFields,
    columns: Vec<ColumnFile>,
    record: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Mode {
    #[default]
    Append,
    Upsert,
}

/// What becomes of a record with a field that no column asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum UnknownFields {
    #[default]
    Ignore,
    Reject,
}

impl Mapping {
    /// Reads a mapping. The name's ending decides: `.yaml` and `.yml` are YAML,
    /// everything else is TOML. Unknown keys are refused.
    ///
    /// # Errors
    /// [`MappingError`]: one line with file, field, value and what is allowed.
    pub fn from_text(name: &str, text: &str) -> Result<Self, MappingError> {
        // A name in the file may have a line break; the message is one line all the same.
        let wrong = |reason: String| MappingError {
            name: name.to_owned(),
            reason: reason.replace('\n', "\\n").replace('\r', "\\r"),
        };
        let is_yaml = Path::new(name).extension().is_some_and(|ending| {
            ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
        });
        let value: Result<serde_json::Value, String> = if is_yaml {
            serde_saphyr::from_str(text).map_err(|error| error.to_string())
        } else {
            toml::from_str(text).map_err(|error: toml::de::Error| error.message().to_owned())
        };
        let value = value.map_err(|reason| wrong(one_line(&reason)))?;
        let file: MappingFile = serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            let inner = one_line(&error.inner().to_string());
            wrong(if path == "." { inner } else { format!("{path}: {inner}") })
        })?;
        file.check().map_err(wrong)
    }
}

/// The parser's message without its drawing of the place.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read").to_owned()
}

impl MappingFile {
    fn check(self) -> Result<Mapping, String> {
        check_table(&self.table)?;
        if self.columns.is_empty() || self.columns.len() > COLUMNS_MAX {
            return Err(format!(
                "columns has {} entries: allowed is 1 to {COLUMNS_MAX}",
                self.columns.len()
            ));
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (index, file) in self.columns.into_iter().enumerate() {
            let at = format!("columns[{index}] ({})", file.name);
            check_name(&file.name).map_err(|why| format!("{at}.name: {why}"))?;
            columns.push(ColumnMapping::new(file).map_err(|why| format!("{at}.{why}"))?);
        }
        let record = record(self.record)?;
        check_names(&columns, &record)?;
        let mode = match self.mode {
            Mode::Append if self.key.is_empty() => WriteMode::Append,
            Mode::Append => return Err("key: allowed with mode = \"upsert\" only".into()),
            Mode::Upsert => {
                check_key(&self.key, &columns, &record)?;
                WriteMode::Upsert { key: self.key }
            }
        };
        let tree = Tree::new(&columns, self.unknown_fields)?;
        Ok(Mapping { table: self.table, mode, columns, record, tree })
    }
}

fn check_table(table: &str) -> Result<(), String> {
    let is_plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && part.len() <= NAME_BYTES_MAX
    };
    if table.split('.').count() <= 2 && table.split('.').all(is_plain) {
        // SQLite's names have no case.
        let own = ["dead_letters", "positions", "meta"];
        let name = table.strip_prefix("public.").unwrap_or(table);
        return match own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            true => Err(format!("table = {table:?}: tidegate has a table of this name")),
            false => Ok(()),
        };
    }
    Err(format!("table = {table:?}: allowed is a name of letters, digits and _, or schema.name"))
}

fn check_name(name: &str) -> Result<(), String> {
    let is_allowed = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && !name.chars().any(|c| c.is_control() || c == '"');
    is_allowed.then_some(()).ok_or_else(|| {
        format!("{name:?}: allowed are 1 to {NAME_BYTES_MAX} bytes without quotes and controls")
    })
}

fn check_names(columns: &[ColumnMapping], record: &[(RecordField, String)]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    let names =
        columns.iter().map(|column| &column.name).chain(record.iter().map(|(_, name)| name));
    for name in names {
        // SQLite's names have no case.
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(format!("column {name} is there twice"));
        }
    }
    Ok(())
}

fn record(given: Option<BTreeMap<String, String>>) -> Result<Vec<(RecordField, String)>, String> {
    let Some(given) = given else {
        return Ok(DEFAULT_RECORD.map(|(field, name)| (field, name.to_owned())).to_vec());
    };
    let known = |name: &str| RecordField::ALL.iter().find(|(_, known)| *known == name);
    for (field, column) in &given {
        if known(field).is_none() {
            let all = RecordField::ALL.map(|(_, name)| name).join(", ");
            return Err(format!("record.{field}: unknown, allowed are {all}"));
        }
        check_name(column).map_err(|why| format!("record.{field} = {why}"))?;
    }
    let record: Vec<(RecordField, String)> = RecordField::ALL
        .iter()
        .filter_map(|(field, name)| given.get(*name).map(|column| (*field, column.clone())))
        .collect();
    if record.iter().filter(|(field, _)| field.is_commit_time()).count() > 1 {
        return Err("record: allowed is one of committed_at_ms and committed_at".into());
    }
    Ok(record)
}

fn check_key(
    key: &[String],
    columns: &[ColumnMapping],
    record: &[(RecordField, String)],
) -> Result<(), String> {
    if key.is_empty() {
        return Err("key is empty: mode = \"upsert\" needs the columns of the key".into());
    }
    for name in key {
        if let Some(column) = columns.iter().find(|column| column.name == *name) {
            if column.may_be_null() {
                return Err(format!("key: column {name} may be NULL"));
            }
            if column.kind == ColumnType::Jsonb {
                return Err(format!("key: column {name} is jsonb"));
            }
            continue;
        }
        match record.iter().find(|(_, column)| column == name) {
            Some((
                RecordField::Topic
                | RecordField::Partition
                | RecordField::Offset
                | RecordField::Key
                | RecordField::KeyText,
                _,
            )) => {}
            Some(_) => return Err(format!("key: column {name} cannot be a key")),
            None => return Err(format!("key: there is no column {name}")),
        }
    }
    Ok(())
}
