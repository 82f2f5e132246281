//! YAML text to trees, one a document. Aliases are copies of what they name.

use std::collections::{BTreeMap, HashSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use super::tree::{Entry, Node, Position, Value};

/// Deeper than any manifest, and short of the stack's end.
const MAX_DEPTH: usize = 64;
/// Aliases may multiply a text; no manifest has this many nodes.
const MAX_NODES: usize = 200_000;

type Failure = (Position, String);

pub(super) fn parse(text: &str) -> Result<Vec<Node>, Failure> {
    let mut reader =
        Reader { parser: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0 };
    let mut documents = Vec::new();
    while let Some((event, span)) = reader.next()? {
        match event {
            Event::DocumentStart(..) => reader.anchors.clear(),
            Event::StreamStart | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            event => {
                let node = reader.node(event, span, 0)?;
                if node.text().is_some() || !matches!(node.value, Value::Scalar { .. }) {
                    documents.push(node);
                }
            }
        }
    }
    Ok(documents)
}

struct Reader<'a> {
    parser: Parser<'a, granit_parser::StrInput<'a>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Failure> {
        loop {
            match self.parser.next() {
                Some(Ok((Event::Comment(..), _))) => {}
                Some(Ok(next)) => return Ok(Some(next)),
                Some(Err(error)) => return Err(failure(&error)),
                None => return Ok(None),
            }
        }
    }

    fn expect(&mut self, open: Position) -> Result<(Event<'a>, Span), Failure> {
        self.next()?.ok_or_else(|| (open, "it ends in the middle of this".into()))
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, Failure> {
        let at = position(&span);
        self.nodes += 1;
        if depth > MAX_DEPTH || self.nodes > MAX_NODES {
            return Err((at, "it is nested too deeply or too large".into()));
        }
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                (Value::Scalar { text: text.into_owned(), plain }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => (Value::List(self.list(at, depth)?), anchor),
            Event::MappingStart(_, anchor, _) => (Value::Map(self.map(at, depth)?), anchor),
            Event::Alias(anchor) => {
                let named = self.anchors.get(&anchor).cloned();
                let node = named.ok_or_else(|| (at, "an alias of itself".to_owned()))?;
                self.nodes += size(&node);
                return Ok(Node { at, ..node });
            }
            other => return Err((at, format!("unexpected {other:?}"))),
        };
        let node = Node { at, value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn list(&mut self, open: Position, depth: usize) -> Result<Vec<Node>, Failure> {
        let mut items = Vec::new();
        loop {
            match self.expect(open)? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, open: Position, depth: usize) -> Result<Vec<Entry>, Failure> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut known = HashSet::new();
        loop {
            let (event, span) = self.expect(open)?;
            if matches!(event, Event::MappingEnd) {
                return Ok(entries);
            }
            let key = self.node(event, span, depth + 1)?;
            let at = key.at;
            let Value::Scalar { text: key, .. } = key.value else {
                return Err((at, "a key that is a list or a map".into()));
            };
            if !known.insert(key.clone()) {
                return Err((at, format!("the key {key} stands here twice")));
            }
            let (event, span) = self.expect(open)?;
            let value = self.node(event, span, depth + 1)?;
            entries.push(Entry { key, at, value });
        }
    }
}

fn size(node: &Node) -> usize {
    1 + node.items().iter().map(size).sum::<usize>()
        + node.entries().iter().map(|entry| size(&entry.value)).sum::<usize>()
}

fn position(span: &Span) -> Position {
    marker(&span.start)
}

fn marker(marker: &granit_parser::Marker) -> Position {
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    Position { line: number(marker.line()), column: number(marker.col()).saturating_add(1) }
}

fn failure(error: &ScanError) -> Failure {
    (marker(error.marker()), error.info())
}
