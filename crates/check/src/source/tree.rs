//! A tree of scalars, lists and maps, each with its place in the text.

use serde_json::Value as Json;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text, a number, a boolean or nothing.
    Scalar {
        /// As written, without quotes.
        text: String,
        /// Written without quotes: it may be a number, a boolean or null.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the text.
    Map(Vec<Entry>),
}

/// A key, where it stands, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: Position,
    /// The value.
    pub value: Node,
}

impl Node {
    /// A scalar's text.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, plain } if !(*plain && is_null(text)) => Some(text),
            _ => None,
        }
    }

    /// The entries of a map; none of anything else.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// The items of a list; none of anything else.
    pub fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// A key's entry.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The node at a dotted path; list items by number.
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('.').filter(|part| !part.is_empty()).try_fold(self, Node::child)
    }

    fn child(&self, part: &str) -> Option<&Node> {
        match part.parse::<usize>() {
            Ok(index) => self.items().get(index),
            Err(_) => self.entry(part).map(|entry| &entry.value),
        }
    }

    /// Where a path stands: the key of its last part that is written down.
    pub fn position(&self, path: &str) -> Position {
        let mut node = self;
        let mut at = self.at;
        for part in path.split('.').filter(|part| !part.is_empty()) {
            let Some(child) = node.child(part) else { break };
            at = node.entry(part).map_or(child.at, |entry| entry.at);
            node = child;
        }
        at
    }

    /// The items of what `kubectl get -o yaml` prints for several objects; else itself.
    pub(super) fn unlisted(self) -> Vec<Self> {
        let is_list = self.node("kind").and_then(Self::text).is_some_and(|kind| kind == "List");
        match (is_list, self.value) {
            (true, Value::Map(entries)) => {
                let items = entries.into_iter().filter(|entry| entry.key == "items");
                let lists = items.filter_map(|entry| match entry.value.value {
                    Value::List(items) => Some(items),
                    _ => None,
                });
                lists.flatten().collect()
            }
            (_, value) => vec![Self { at: self.at, value }],
        }
    }

    /// As JSON: plain scalars become numbers, booleans and null where YAML says so.
    pub fn to_json(&self) -> Json {
        match &self.value {
            Value::Scalar { text, plain: false } => Json::String(text.clone()),
            Value::Scalar { text, plain: true } => scalar(text),
            Value::List(items) => Json::Array(items.iter().map(Node::to_json).collect()),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect(),
            ),
        }
    }
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

fn scalar(text: &str) -> Json {
    match text {
        _ if is_null(text) => Json::Null,
        "true" | "True" | "TRUE" => Json::Bool(true),
        "false" | "False" | "FALSE" => Json::Bool(false),
        _ => text.parse::<i64>().map(Json::from).unwrap_or_else(|_| {
            let number =
                text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first));
            match text.parse::<f64>() {
                Ok(value) if number && value.is_finite() => Json::from(value),
                _ => Json::String(text.to_owned()),
            }
        }),
    }
}
