//! TOML or YAML text to a value.
//!
//! Contract: an error is one line that says where (the line of the text, the path of the
//! field), what was found, and of a misspelt name what was probably meant.

use std::fmt;
use std::path::Path;

use serde::de::value::MapDeserializer;
use serde::de::{DeserializeOwned, Error as _};
use serde_path_to_error::{Error as PathError, Path as FieldPath};

/// Why a text cannot be read, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextError {
    /// Line of the text, from 1; `None` of what is missing as a whole.
    pub line: Option<u64>,
    /// The path of the field, what was found and what is allowed.
    pub reason: String,
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        f.write_str(&self.reason)
    }
}

/// Whether a file of this name is read as YAML: `.yaml` and `.yml`; everything else is TOML.
pub fn is_yaml(name: &Path) -> bool {
    name.extension().is_some_and(|ending| {
        ending.eq_ignore_ascii_case("yaml") || ending.eq_ignore_ascii_case("yml")
    })
}

/// Reads a text of the name's kind.
///
/// # Errors
/// [`TextError`]: syntax, an unknown key, a missing one, or a value of another type.
pub fn read<T: DeserializeOwned>(name: &str, text: &str) -> Result<T, TextError> {
    if is_yaml(Path::new(name)) { yaml(text) } else { toml(text) }
}

fn toml<T: DeserializeOwned>(text: &str) -> Result<T, TextError> {
    let line = |error: &toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start))?;
        Some(before.matches('\n').count() as u64 + 1)
    };
    let syntax = |error: toml::de::Error| said(line(&error), None, error.message());
    let deserializer = toml::Deserializer::parse(text).map_err(syntax)?;
    serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let inner = error.inner();
        said(line(inner), Some(error.path()), inner.message())
    })
}

fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, TextError> {
    let said_of = |path: Option<&FieldPath>, error: &serde_saphyr::Error| {
        let line = error.location().map(|location| location.line());
        said(line, path, &error.without_snippet().to_string())
    };
    let mut failed: Option<PathError<serde_saphyr::Error>> = None;
    let value: Result<Option<T>, _> =
        serde_saphyr::with_deserializer_from_str(text, |deserializer| {
            serde_path_to_error::deserialize(deserializer).map_err(|error| {
                failed = Some(error);
                serde_saphyr::Error::custom("see above")
            })
        });
    match (value, failed) {
        (Ok(Some(value)), _) => Ok(value),
        // A text with nothing in it lacks its keys, as in TOML.
        (Ok(None), _) => T::deserialize(MapDeserializer::new(std::iter::empty::<(&str, &str)>()))
            .map_err(|error: serde::de::value::Error| said(None, None, &error.to_string())),
        (Err(_), Some(error)) => Err(said_of(Some(error.path()), error.inner())),
        (Err(error), None) => Err(said_of(None, &error)),
    }
}

fn said(line: Option<u64>, path: Option<&FieldPath>, message: &str) -> TextError {
    let found = in_words(&one_line(message));
    // A key may have a line break.
    let path = path.map(|path| path.to_string().replace('\n', "\\n").replace('\r', "\\r"));
    let reason = match path.filter(|path| path != ".") {
        Some(path) => format!("{path}: {found}"),
        None => found,
    };
    TextError { line: line.filter(|line| *line > 0), reason }
}

/// The parser's message without its drawing of the place.
fn one_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("cannot be read").to_owned()
}

/// Types by what a person writes, and the name that was probably meant.
fn in_words(reason: &str) -> String {
    // The place is said before.
    let mut text = reason.split(" at line ").next().unwrap_or(reason).to_owned();
    for (kind, words) in [
        ("expected u32", "expected a whole number, not negative"),
        ("expected u64", "expected a whole number, not negative"),
        ("expected f64", "expected a number"),
        ("invalid u32", "expected a whole number, not negative"),
        ("invalid u64", "expected a whole number, not negative"),
        ("invalid floating point value", "expected a number"),
    ] {
        text = text.replace(kind, words);
    }
    let Some((given, known)) = text.strip_prefix("unknown ").and_then(|t| t.split_once(", "))
    else {
        return text;
    };
    let given = given.split('`').nth(1).unwrap_or_default();
    let known = known.trim_start_matches("expected ").trim_start_matches("one of ");
    let names = known.split([',', '`', ' ']).filter(|name| !name.is_empty() && *name != "or");
    match nearest(given, names) {
        Some(name) => format!("{text}; did you mean `{name}`?"),
        None => text,
    }
}

/// The name that was probably meant: the nearest one, when it is near.
pub fn nearest<'a>(given: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = given.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&name.to_lowercase(), &lower);
    names
        .map(|name| (distance(name), name))
        .min()
        .filter(|(distance, name)| *distance <= 2.max(name.len() / 4))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoadProfile;

    fn error(name: &str, text: &str) -> String {
        read::<LoadProfile>(name, text).expect_err(text).to_string()
    }

    #[test]
    fn an_error_says_where_it_is_and_what_was_probably_meant() {
        let toml = "keys = 10\nzipff = 1.0\nphases = []";
        let yaml = "keys: 10\nzipff: 1.0\nphases: []";
        for text in [error("a.toml", toml), error("a.yaml", yaml)] {
            assert!(text.starts_with("line 2: zipff: unknown field `zipff`, expected"), "{text}");
            assert!(text.ends_with("; did you mean `zipf`?"), "{text}");
        }
        let far = error("a.toml", "weather = 1\nphases = []");
        assert!(far.starts_with("line 1: ") && !far.contains("did you mean"), "{far}");
    }

    #[test]
    fn a_wrong_value_and_broken_syntax_have_their_line() {
        for (name, text, parts) in [
            ("a.toml", "phases = []\nkeys = 1.5", ["line 2: keys: ", "1.5", "a whole number"]),
            ("a.yaml", "phases: []\nkeys: 1.5", ["line 2: keys: ", "a whole number", ""]),
            ("a.toml", "phases = []\nkeys = -1", ["line 2: keys: ", "-1", "not negative"]),
            ("a.toml", "phases = []\n[[[", ["line 2: ", "", ""]),
            ("a.yaml", "phases: []\n  keys: {", ["line 2: ", "", ""]),
            ("a.yaml", "\"a\\nb\": 1\nphases: []", ["line 1: a\\nb: ", "unknown field", ""]),
            ("a.toml", "\"a\\nb\" = 1\nphases = []", ["line 1: a\\nb: ", "unknown field", ""]),
        ] {
            let said = error(name, text);
            assert!(parts.iter().all(|part| said.contains(part)), "{said}");
            assert!(!said.contains('\n'), "{said}");
        }
    }

    #[test]
    fn an_empty_text_lacks_its_keys_in_either_format() {
        for (name, text) in [("a.toml", ""), ("a.yaml", ""), ("a.yaml", "# nothing\n")] {
            assert!(error(name, text).contains("missing field `phases`"), "{}", error(name, text));
        }
    }
}
