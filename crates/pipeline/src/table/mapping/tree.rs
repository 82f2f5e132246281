//! JSON pointers as a tree, walked along with the payload.

use super::column::ColumnMapping;
use super::file::UnknownFields;

/// The pointers of all columns.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: Node,
    pub(super) unknown_fields: UnknownFields,
}

/// A place in a payload.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Name in an object; in an array the index, if it is a number.
    pub(super) token: String,
    /// Columns whose value is here.
    pub(super) columns: Vec<usize>,
    pub(super) children: Vec<Node>,
}

impl Tree {
    pub(super) fn new(
        columns: &[ColumnMapping],
        unknown_fields: UnknownFields,
    ) -> Result<Self, String> {
        let mut root = Node::default();
        for (index, column) in columns.iter().enumerate() {
            let mut node = &mut root;
            // An empty pointer is the whole payload.
            for token in column.pointer.split('/').skip(1) {
                node = node.child(&unescaped(token).ok_or_else(|| {
                    format!(
                        "columns[{index}] ({}).from = {:?}: behind ~ allowed is 0 or 1",
                        column.name, column.pointer
                    )
                })?);
            }
            node.columns.push(index);
        }
        Ok(Self { root, unknown_fields })
    }
}

impl Node {
    fn child(&mut self, token: &str) -> &mut Node {
        let at = self.children.iter().position(|child| child.token == token);
        let at = at.unwrap_or_else(|| {
            self.children.push(Node { token: token.to_owned(), ..Node::default() });
            self.children.len() - 1
        });
        &mut self.children[at]
    }

    /// Position of the child of a name. Payloads mostly have their fields in the
    /// order of the mapping: `likely` is looked at first.
    pub(super) fn find(&self, token: &str, likely: usize) -> Option<usize> {
        if self.children.get(likely).is_some_and(|child| child.token == token) {
            return Some(likely);
        }
        self.children.iter().position(|child| child.token == token)
    }

    /// The only column here, if nothing below is asked for.
    pub(super) fn leaf(&self) -> Option<usize> {
        match self.columns[..] {
            [column] if self.children.is_empty() => Some(column),
            _ => None,
        }
    }
}

/// RFC 6901: `~1` is a slash, `~0` a tilde.
fn unescaped(token: &str) -> Option<String> {
    let mut text = String::with_capacity(token.len());
    let mut chars = token.chars();
    while let Some(c) = chars.next() {
        text.push(match c {
            '~' => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(text)
}
