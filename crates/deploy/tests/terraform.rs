//! Every AWS resource of `deploy/terraform` against the provider's schema: types,
//! attribute and block names, what is required, references to what is not there.
//! Needs no provider; `make check-terraform` asks the real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hcl::structure::{Block, Body, Structure};
use serde::Deserialize;

#[derive(Deserialize)]
struct Schema {
    types: BTreeMap<String, Type>,
}

#[derive(Deserialize)]
struct Type {
    fields: BTreeMap<String, Field>,
    outputs: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Field {
    required: bool,
    #[serde(default)]
    fields: BTreeMap<String, Field>,
}

/// Arguments that Terraform itself takes.
const META: &[&str] = &["count", "for_each", "depends_on", "lifecycle", "provider", "provisioner"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/terraform")
}

fn schema() -> Schema {
    let text = std::fs::read_to_string(root().join("schema.json")).expect("schema.json");
    serde_json::from_str(&text).expect("schema.json is JSON")
}

/// Every folder with `.tf` files, and the files' text.
fn modules() -> BTreeMap<PathBuf, Vec<(PathBuf, String)>> {
    let mut modules: BTreeMap<PathBuf, Vec<_>> = BTreeMap::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() && !path.ends_with(".terraform") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "tf") {
                let text = std::fs::read_to_string(&path).expect("a text");
                modules.entry(folder.clone()).or_default().push((path, text));
            }
        }
    }
    modules
}

fn check_body(body: &Body, fields: &BTreeMap<String, Field>, at: &str, faults: &mut Vec<String>) {
    let mut seen = BTreeSet::new();
    for structure in body {
        let (name, block) = match structure {
            Structure::Attribute(attribute) => (attribute.key().to_owned(), None),
            Structure::Block(block) if block.identifier() == "dynamic" => {
                let name = block.labels()[0].as_str().to_owned();
                let content = block.body().blocks().find(|inner| inner.identifier() == "content");
                (name, content)
            }
            Structure::Block(block) => (block.identifier().to_owned(), Some(block)),
        };
        if META.contains(&name.as_str()) && !fields.contains_key(&name) {
            continue;
        }
        match fields.get(&name) {
            None => faults.push(format!("{at}: no argument {name}")),
            Some(field) => {
                if let Some(block) = block {
                    check_body(block.body(), &field.fields, &format!("{at}.{name}"), faults);
                }
            }
        }
        seen.insert(name);
    }
    for (name, field) in fields {
        if field.required && !seen.contains(name) {
            faults.push(format!("{at}: {name} is required"));
        }
    }
}

fn check_block(block: &Block, schema: &Schema, faults: &mut Vec<String>) -> Option<String> {
    let kind = block.identifier();
    if !matches!(kind, "resource" | "data") {
        return None;
    }
    let [type_name, name] = block.labels() else { return None };
    let (type_name, name) = (type_name.as_str(), name.as_str());
    let address = if kind == "data" {
        format!("data.{type_name}.{name}")
    } else {
        format!("{type_name}.{name}")
    };
    if type_name.starts_with("aws_") {
        match schema.types.get(&format!("{kind}.{type_name}")) {
            Some(known) => check_body(block.body(), &known.fields, &address, faults),
            None => faults.push(format!("{address}: no such type in schema.json")),
        }
    }
    Some(address)
}

/// The dotted path at the start of a text; what stands in brackets is left out.
fn without_indices(text: &str) -> String {
    let mut depth = 0;
    let mut path = String::new();
    for c in text.chars() {
        match c {
            '[' => depth += 1,
            ']' if depth == 0 => break,
            ']' => depth -= 1,
            _ if depth > 0 => {}
            c if c.is_alphanumeric() || c == '_' || c == '.' => path.push(c),
            _ => break,
        }
    }
    path
}

/// `aws_x.name` or `data.aws_x.name`, then the attribute behind it, wherever they stand.
fn references(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (start, _) in text.match_indices("aws_") {
        let before = &text[..start];
        if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '"' || c == '-') {
            continue;
        }
        let data = before.ends_with("data.");
        let path = without_indices(&text[start..]);
        let mut parts = path.split('.');
        let (Some(type_name), Some(name), Some(attribute)) =
            (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let prefix = if data { "data." } else { "" };
        found.push((format!("{prefix}{type_name}.{name}"), attribute.to_owned()));
    }
    found
}

fn faults_of(files: &[(PathBuf, String)], schema: &Schema) -> Vec<String> {
    let mut faults = Vec::new();
    let mut declared = BTreeSet::new();
    for (path, text) in files {
        let body: Body = match hcl::parse(text) {
            Ok(body) => body,
            Err(error) => {
                faults.push(format!("{}: {error}", path.display()));
                continue;
            }
        };
        declared.extend(body.blocks().filter_map(|block| check_block(block, schema, &mut faults)));
    }
    for (_, text) in files {
        let code: String = text.lines().map(|line| line.split(" #").next().unwrap_or("")).collect();
        for (address, attribute) in references(&code) {
            let (kind, rest) = match address.strip_prefix("data.") {
                Some(rest) => ("data", rest),
                None => ("resource", address.as_str()),
            };
            let Some((type_name, _)) = rest.split_once('.') else { continue };
            let Some(known) = schema.types.get(&format!("{kind}.{type_name}")) else { continue };
            if !declared.contains(&address) {
                faults.push(format!("{address} is used and not declared"));
            } else if !known.outputs.contains(&attribute) && !known.fields.contains_key(&attribute)
            {
                faults.push(format!("{address} has no attribute {attribute}"));
            }
        }
    }
    faults
}

#[test]
fn every_aws_resource_fits_the_providers_schema() {
    let schema = schema();
    let modules = modules();
    assert!(modules.len() >= 10, "only {} modules found", modules.len());
    let faults: Vec<String> = modules
        .iter()
        .flat_map(|(folder, files)| {
            faults_of(files, &schema)
                .into_iter()
                .map(move |fault| format!("{}: {fault}", folder.display()))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_check_finds_faults() {
    let schema = schema();
    for (text, expected) in [
        (r#"resource "aws_msk_clutser" "a" {}"#, "no such type"),
        (r#"resource "aws_kms_alias" "a" { target_key = "x" }"#, "no argument target_key"),
        (r#"resource "aws_kms_alias" "a" { name = "x" }"#, "target_key_id is required"),
        (
            r#"resource "aws_eks_cluster" "a" {
                 name     = "x"
                 role_arn = "x"
                 vpc_config { subnet_id = ["x"] }
               }"#,
            "no argument subnet_id",
        ),
        (r#"output "x" { value = aws_kms_key.other.arn }"#, "not declared"),
        (
            "resource \"aws_kms_key\" \"a\" {}\noutput \"x\" { value = aws_kms_key.a.arm }",
            "no attribute arm",
        ),
    ] {
        let faults = faults_of(&[(PathBuf::from("x.tf"), text.to_owned())], &schema);
        assert!(faults.iter().any(|fault| fault.contains(expected)), "{text}: {faults:?}");
    }
}
