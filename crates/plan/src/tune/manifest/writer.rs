//! A manifest as YAML: keys in the order that people expect, a comment above its setting.

use std::fmt::Write as _;

use serde_json::Value;

/// Comments of a manifest: at the top, and by setting.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comments {
    /// Lines above everything.
    pub head: Vec<String>,
    /// Name of a setting and why it is what it is.
    pub settings: Vec<(&'static str, String)>,
}

impl Comments {
    fn of(&self, setting: &str) -> Option<&str> {
        self.settings.iter().find(|(name, _)| *name == setting).map(|(_, why)| why.as_str())
    }
}

/// A manifest with its comments.
pub(super) fn text(manifest: &Value, comments: &Comments) -> String {
    let mut text = String::new();
    for line in &comments.head {
        let _ = writeln!(text, "# {line}");
    }
    let mut writer = Writer { text, comments, direction: None };
    writer.map(manifest, 0);
    writer.text
}

/// Order of keys, where there is one that people expect.
const ORDER: &[&str] = &[
    "apiVersion",
    "kind",
    "metadata",
    "spec",
    "name",
    "namespace",
    "scaleTargetRef",
    "pollingInterval",
    "cooldownPeriod",
    "initialCooldownPeriod",
    "idleReplicaCount",
    "minReplicaCount",
    "maxReplicaCount",
    "fallback",
    "advanced",
    "triggers",
    "type",
    "value",
    "periodSeconds",
    "metricType",
    "scaleUp",
    "scaleDown",
    "stabilizationWindowSeconds",
    "selectPolicy",
    "tolerance",
    "policies",
];

struct Writer<'a> {
    text: String,
    comments: &'a Comments,
    /// Of the rules that are written now, which have the same keys in both directions.
    direction: Option<&'static str>,
}

impl Writer<'_> {
    fn map(&mut self, value: &Value, indent: usize) {
        let Some(map) = value.as_object() else { return };
        let mut keys: Vec<&String> = map.keys().collect();
        let rank = |key: &str| ORDER.iter().position(|name| *name == key).unwrap_or(ORDER.len());
        keys.sort_by_key(|key| rank(key));
        for key in keys {
            let outer = self.direction;
            match key.as_str() {
                "scaleUp" => self.direction = Some("scaleUp"),
                "scaleDown" => self.direction = Some("scaleDown"),
                _ => {}
            }
            self.entry(key, &map[key], indent);
            self.direction = outer;
        }
    }

    fn entry(&mut self, key: &str, value: &Value, indent: usize) {
        let pad = " ".repeat(indent);
        let setting = match self.direction {
            Some(direction) => format!("{direction}.{key}"),
            None => key.to_owned(),
        };
        if let Some(why) = self.comments.of(&setting) {
            let _ = writeln!(self.text, "{pad}# {why}");
        }
        match value {
            Value::Object(map) if !map.is_empty() => {
                let _ = writeln!(self.text, "{pad}{key}:");
                self.map(value, indent + 2);
            }
            Value::Array(items) if !items.is_empty() => {
                let _ = writeln!(self.text, "{pad}{key}:");
                items.iter().for_each(|item| self.item(item, indent));
            }
            other => {
                let _ = writeln!(self.text, "{pad}{key}: {other}");
            }
        }
    }

    fn item(&mut self, item: &Value, indent: usize) {
        if !item.is_object() {
            let _ = writeln!(self.text, "{}- {item}", " ".repeat(indent));
            return;
        }
        let start = self.text.len();
        self.map(item, indent + 2);
        // The first key's line begins with the dash; a comment above it keeps its place.
        let lines = self.text.get(start..).unwrap_or_default();
        let mut offset = start;
        for line in lines.split_inclusive('\n') {
            if !line.trim_start().starts_with('#') {
                break;
            }
            offset += line.len();
        }
        if self.text.get(offset..).is_some_and(|rest| !rest.is_empty()) {
            self.text.replace_range(offset + indent..offset + indent + 1, "-");
        }
    }
}
