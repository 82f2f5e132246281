//! TOML text to a tree.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::tree::{Entry, Node, Position, Value};

pub(super) fn parse(text: &str) -> Result<Node, (Position, String)> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or_else(Position::default, |span| position(text, span.start));
        (at, error.message().lines().next().unwrap_or("cannot be read").to_owned())
    })?;
    Ok(Node { at: Position { line: 1, column: 1 }, value: map(text, table.get_ref()) })
}

fn map(text: &str, table: &DeTable<'_>) -> Value {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            at: position(text, key.span().start),
            value: node(text, value),
        })
        .collect();
    entries.sort_by_key(|entry| entry.at);
    Value::Map(entries)
}

fn node(text: &str, value: &Spanned<DeValue<'_>>) -> Node {
    let scalar = |text: String, plain| Value::Scalar { text, plain };
    let inner = match value.get_ref() {
        DeValue::String(string) => scalar(string.to_string(), false),
        DeValue::Integer(number) => scalar(number.to_string(), true),
        DeValue::Float(number) => scalar(number.to_string(), true),
        DeValue::Boolean(flag) => scalar(flag.to_string(), true),
        DeValue::Datetime(time) => scalar(time.to_string(), false),
        DeValue::Array(items) => Value::List(items.iter().map(|item| node(text, item)).collect()),
        DeValue::Table(table) => map(text, table),
    };
    Node { at: position(text, value.span().start), value: inner }
}

fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(line), column: number(column) }
}
