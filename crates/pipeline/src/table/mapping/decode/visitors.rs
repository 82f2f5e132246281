//! What the JSON parser finds at a node of the tree, and at a column's place.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::super::column::ColumnMapping;
use super::super::file::COLUMNS_MAX;
use super::super::row::Value;
use super::super::tree::Node;
use super::Walk;
use crate::decode::Rejection;

pub(super) struct NodeSeed<'w, 'm, 'p> {
    pub(super) node: &'m Node,
    pub(super) is_root: bool,
    pub(super) walk: &'w mut Walk<'m, 'p>,
}

impl<'de> DeserializeSeed<'de> for NodeSeed<'_, '_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        let Self { node, is_root, walk } = self;
        match node.leaf() {
            Some(index) => walk.leaf(index, json),
            None if !node.columns.is_empty() => walk.shared(node, is_root, json),
            None => json.deserialize_any(NodeVisitor { node, is_root, walk }),
        }
    }
}

/// An object or an array with columns below. In the place of one of them
/// anything else has none: they are missing. The payload itself must be one.
pub(super) struct NodeVisitor<'w, 'm, 'p> {
    pub(super) node: &'m Node,
    pub(super) is_root: bool,
    pub(super) walk: &'w mut Walk<'m, 'p>,
}

impl NodeVisitor<'_, '_, '_> {
    fn nothing_below<E: Error>(self, found: &str) -> Result<(), E> {
        if self.is_root {
            return Err(self.walk.bad_field(format!("the payload is {found}, expected an object")));
        }
        Ok(())
    }
}

/// One bit for each child of a node.
type Seen = [u64; COLUMNS_MAX / 64 + 1];

impl<'de> Visitor<'de> for NodeVisitor<'_, '_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Self { node, walk, .. } = self;
        let mut seen: Seen = [0; COLUMNS_MAX / 64 + 1];
        let mut likely = 0;
        while let Some(found) = map.next_key_seed(KeySeed { node, likely, walk })? {
            let Some(index) = found else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let child = &node.children[index];
            let bit = 1 << (index % 64);
            if seen[index / 64] & bit != 0 {
                return Err(walk.bad_field(format!("{} is there twice", child.token)));
            }
            seen[index / 64] |= bit;
            likely = index + 1;
            map.next_value_seed(NodeSeed { node: child, is_root: false, walk: &mut *walk })?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Self { node, is_root, walk } = self;
        let is_index = |child: &Node| child.token.parse::<usize>().is_ok();
        if is_root && !node.children.iter().any(is_index) {
            return Err(walk.bad_field("the payload is an array, expected an object".into()));
        }
        for number in 0usize.. {
            let token = number.to_string();
            let is_there = match node.find(&token, number) {
                Some(index) => {
                    let child = &node.children[index];
                    let seed = NodeSeed { node: child, is_root: false, walk: &mut *walk };
                    items.next_element_seed(seed)?.is_some()
                }
                None => items.next_element::<IgnoredAny>()?.is_some(),
            };
            if !is_there {
                break;
            }
        }
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.nothing_below("null")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        self.nothing_below("true or false")
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        self.nothing_below("a number")
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        self.nothing_below("a number")
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        self.nothing_below("a number")
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<(), E> {
        self.nothing_below("a string")
    }
}

/// A field's name as the position of a child; `None` if no column asks for it.
struct KeySeed<'w, 'm, 'p> {
    pub(super) node: &'m Node,
    likely: usize,
    pub(super) walk: &'w mut Walk<'m, 'p>,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_, '_, '_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Option<usize>, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_, '_, '_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field's name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Option<usize>, E> {
        let found = self.node.find(name, self.likely);
        if found.is_none() && self.walk.rejects_unknown {
            let shown: String = name.chars().take(64).collect();
            return Err(self.walk.bad_field(format!("unknown field {shown:?}")));
        }
        Ok(found)
    }
}

pub(super) struct LeafVisitor<'w, 'c, 'm, 'p> {
    pub(super) column: &'c ColumnMapping,
    pub(super) walk: &'w mut Walk<'m, 'p>,
}

impl LeafVisitor<'_, '_, '_, '_> {
    fn value<E: Error>(
        self,
        found: &str,
        value: Result<Option<Value>, Rejection>,
    ) -> Result<Value, E> {
        let field = self.column.pointer.trim_start_matches('/');
        let expecting = self.column.kind.expecting();
        match value {
            Ok(Some(value)) => Ok(value),
            Ok(None) => {
                Err(self.walk.bad_field(format!("{field} is {found}, expected {expecting}")))
            }
            Err(why) => Err(self.walk.stop(why)),
        }
    }
}

impl<'de> Visitor<'de> for LeafVisitor<'_, '_, '_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.column.kind.expecting())
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        let value = self.column.on_null(&mut self.walk.row).map(Some);
        self.value("null", value)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        let value = self.column.of_bool(value);
        self.value("true or false", Ok(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        let value = self.column.of_integer(value.into(), &mut self.walk.row);
        self.value("a number", value)
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        let value = self.column.of_integer(value.into(), &mut self.walk.row);
        self.value("a number", value)
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        let value = self.column.of_f64(value);
        self.value("not a whole number", Ok(value))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        let value = self.column.of_any_text(text, &mut self.walk.row);
        self.value("a string", value)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        self.value("an array", Ok(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        self.value("an object", Ok(None))
    }
}
