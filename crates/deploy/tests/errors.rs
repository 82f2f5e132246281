//! `docs/errors.md` has every exit code, every reason code of a dead letter and every
//! class of error, and none that the programs do not have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use tidegate_deploy::observability::read;

/// Crates whose errors nobody sees: tests and tools of the repository.
const NOT_SHOWN: &[&str] = &["chaos", "pgtest", "fuzzing", "deploy"];

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// The classes of a source file: `crate::Variant` of an enum `Error`, `crate::Enum::Variant`
/// of others, `crate::Struct`. A variant that only passes on another error is none.
fn classes(krate: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut inside, mut attribute, mut is_class) = (None, false, false);
    for line in text.lines() {
        let item = line.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        let name =
            |rest: &str| rest.split(|c: char| !c.is_alphanumeric()).next().map(str::to_owned);
        if line.starts_with("pub") {
            inside = item.strip_prefix("enum ").and_then(name).filter(|n| n.ends_with("Error"));
            let is_error = |n: &String| n.ends_with("Error") || n == "BadInput";
            let error = item.strip_prefix("struct ").and_then(name).filter(is_error);
            found.extend(error.map(|error| format!("{krate}::{error}")));
        }
        let Some(inside) = &inside else { continue };
        let Some(inner) = line.strip_prefix("    ") else { continue };
        if let Some(text) = inner.strip_prefix("#[error(") {
            (attribute, is_class) = (!inner.ends_with(")]"), !text.starts_with("transparent"));
        } else if attribute {
            attribute = inner != ")]";
        } else if is_class && inner.starts_with(|c: char| c.is_ascii_uppercase()) {
            let variant = name(inner).expect("a name");
            let of = if inside == "Error" { String::new() } else { format!("{inside}::") };
            found.push(format!("{krate}::{of}{variant}"));
            is_class = false;
        }
    }
    found
}

fn all_classes() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(&crates).expect("crates").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if NOT_SHOWN.contains(&name.as_str()) {
            continue;
        }
        let mut files = Vec::new();
        sources(&entry.path().join("src"), &mut files);
        for file in files {
            found.extend(classes(&name, &std::fs::read_to_string(&file).expect("a source")));
        }
    }
    found
}

/// Texts in backticks.
fn quoted(page: &str) -> BTreeSet<String> {
    page.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_class_of_error_is_in_the_page() {
    let page = quoted(&read("docs/errors.md").expect("the page"));
    let classes = all_classes();
    assert!(classes.len() > 50, "only {} classes found", classes.len());
    let missing: Vec<_> = classes.difference(&page).collect();
    assert!(missing.is_empty(), "docs/errors.md has no row for {missing:?}");
    let named = page.iter().filter(|text| text.contains("::") && !text.contains(' '));
    let gone: Vec<_> = named.filter(|text| !classes.contains(*text)).collect();
    assert!(gone.is_empty(), "no program has {gone:?}");
}

#[test]
fn every_exit_code_is_in_the_page() {
    let source = read("crates/cli/src/exit.rs").expect("the source");
    let code = |text: &str| -> Option<u8> {
        text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    };
    let documented: BTreeSet<u8> =
        source.lines().filter_map(|line| line.strip_prefix("//! | ").and_then(code)).collect();
    let returned: BTreeSet<u8> = source.split("ExitCode::from(").skip(1).filter_map(code).collect();
    assert!(documented.len() >= 6 && returned.is_subset(&documented), "{returned:?}");
    let page = read("docs/errors.md").expect("the page");
    let (_, rest) = page.split_once("## Exit codes").expect("a chapter");
    let chapter = rest.split("\n## ").next().expect("a chapter");
    let listed: BTreeSet<u8> =
        chapter.lines().filter_map(|line| line.strip_prefix("| ").and_then(code)).collect();
    assert_eq!(listed, documented);
}

#[test]
fn every_reason_of_a_dead_letter_is_in_the_page() {
    let page = quoted(&read("docs/errors.md").expect("the page"));
    for reason in tidegate_pipeline::decode::reason::ALL {
        assert!(page.contains(*reason), "{reason}");
    }
}

#[test]
fn classes_are_found_in_a_source() {
    let source = r#"
pub enum Error {
    /// One.
    #[error("{0}")]
    One(String),
    #[error(
        "two lines"
    )]
    Two {
        /// A field.
        Field: u8,
    },
    #[error(transparent)]
    Other(#[from] OtherError),
}

pub(crate) enum WireError {
    #[error("three")]
    Three,
}

pub struct UrlError(String);
pub struct Url(String);
"#;
    assert_eq!(classes("x", source), ["x::One", "x::Two", "x::WireError::Three", "x::UrlError"]);
}
