//! A value of a file that is of another type than its key takes: which, where it stands, and
//! what is allowed.

use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

use super::Config;

/// Raw client settings: one of them may be a secret in the wrong place.
const RAW: &str = "librdkafka";

/// `line N, SECTION.KEY = VALUE: allowed is ...` of the first key of the file that the
/// defaults cannot have; `None` if they can have each.
pub(super) fn told(text: &str, file: &Table, defaults: &Table) -> Option<String> {
    let sections = file.iter().filter_map(|(section, keys)| Some((section, keys.as_table()?)));
    let mut values =
        sections.flat_map(|(section, keys)| keys.iter().map(move |(key, v)| (section, key, v)));
    values.find_map(|(section, key, value)| {
        let mut table = defaults.clone();
        table.get_mut(section)?.as_table_mut()?.insert(key.clone(), value.clone());
        let error = Config::deserialize_table(table).err()?;
        let (mut path, mut given) = (vec![section.as_str(), key], shown(value));
        if let (RAW, Value::Table(entries)) = (key.as_str(), value) {
            path.push(entries.iter().find(|(_, entry)| !entry.is_str())?.0);
            "...".clone_into(&mut given);
        }
        let line = line(text, &path).map_or(String::new(), |line| format!("line {line}, "));
        let key = path.join(".").escape_debug().to_string();
        Some(format!("{line}{key} = {given}: allowed is {}", allowed(error.message())))
    })
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(_) => "[...]".into(),
        Value::Table(_) => "{...}".into(),
        number => number.to_string(),
    }
}

/// What serde expected, in the words of whoever writes a file.
fn allowed(message: &str) -> &str {
    match message.rsplit_once(", expected ").map_or(message, |(_, expected)| expected) {
        "u32" | "u64" => "a whole number, 0 or more",
        "f64" => "a number",
        "a boolean" => "true or false",
        "a string" | "path string" => "text in quotes",
        "a map" => "a table",
        expected => expected,
    }
}

/// The line of a key, from 1.
fn line(text: &str, path: &[&str]) -> Option<usize> {
    let root = DeTable::parse(text).ok()?;
    let (last, tables) = path.split_last()?;
    let mut table = root.get_ref();
    for name in tables {
        let DeValue::Table(inner) = entry(table, name)?.1.get_ref() else { return None };
        table = inner;
    }
    Some(line_at(text, entry(table, last)?.0))
}

fn entry<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<(usize, &'t Spanned<DeValue<'i>>)> {
    let (key, value) = table.iter().find(|(key, _)| key.get_ref().as_ref() == name)?;
    Some((key.span().start, value))
}

/// The line of a place in the text, from 1.
pub(super) fn line_at(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count()
}
