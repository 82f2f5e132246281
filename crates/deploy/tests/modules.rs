//! The form of deploy/terraform: what each module says of itself, which values it refuses
//! by name, and that the examples give what the scripts ask for.

use std::path::{Path, PathBuf};

use hcl::structure::{Block, Body};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn modules() -> Vec<PathBuf> {
    let folder = root().join("deploy/terraform/modules");
    let mut modules: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    modules.sort();
    assert!(modules.len() >= 7, "{modules:?}");
    modules
}

fn blocks(path: &Path, kind: &str) -> Vec<(String, Block)> {
    let body: Body = hcl::parse(&read(path)).expect("HCL");
    let named = |block: &Block| block.labels().first().map(|label| label.as_str().to_owned());
    body.into_blocks()
        .filter(|block| block.identifier() == kind)
        .filter_map(|block| named(&block).map(|name| (name, block)))
        .collect()
}

fn attribute(block: &Block, name: &str) -> Option<String> {
    let found = block.body().attributes().find(|attribute| attribute.key() == name)?;
    match found.expr() {
        hcl::Expression::String(text) => Some(text.clone()),
        other => Some(hcl::format::to_string(other).expect("an expression")),
    }
}

/// The default as the table shows it.
fn default(block: &Block) -> String {
    let found = block.body().attributes().find(|attribute| attribute.key() == "default");
    found.map_or_else(
        || "required".to_owned(),
        |attribute| format!("`{}`", hcl::format::to_string(attribute.expr()).expect("a value")),
    )
}

#[test]
fn each_module_has_a_page_with_its_variables() {
    let mut faults = Vec::new();
    for module in modules() {
        let page = read(&module.join("README.md"));
        let variables = blocks(&module.join("variables.tf"), "variable");
        let rows = page.lines().filter(|line| line.starts_with("| `")).count();
        if rows != variables.len() {
            faults.push(format!(
                "{}: {rows} rows, {} variables",
                module.display(),
                variables.len()
            ));
        }
        for (name, block) in variables {
            let description = attribute(&block, "description").unwrap_or_default();
            let row = format!("| `{name}` | {description} | {} |", default(&block));
            if description.is_empty() || !page.lines().any(|line| line == row) {
                faults.push(format!("{}/README.md lacks: {row}", module.display()));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_number_is_checked_and_every_refusal_names_its_variable() {
    let mut faults = Vec::new();
    let mut refusals = 0;
    let folders = [root().join("deploy/terraform"), root().join("deploy/terraform/examples/demo")];
    for folder in modules().into_iter().chain(folders) {
        let is_module = folder.parent().is_some_and(|parent| parent.ends_with("modules"));
        for (name, block) in blocks(&folder.join("variables.tf"), "variable") {
            let validations: Vec<&Block> =
                block.body().blocks().filter(|inner| inner.identifier() == "validation").collect();
            refusals += validations.len();
            // Above the modules a value is passed on, and the module refuses it.
            if is_module
                && attribute(&block, "type").as_deref() == Some("${number}")
                && validations.is_empty()
            {
                faults.push(format!("{}: {name} takes any number", folder.display()));
            }
            for validation in validations {
                let message = attribute(validation, "error_message").unwrap_or_default();
                if !message.starts_with(&name) {
                    faults.push(format!("{}: {name} is refused with: {message}", folder.display()));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(refusals >= 40, "only {refusals} validations found");
}

#[test]
fn the_examples_give_what_the_scripts_ask_for() {
    let script = read(&root().join("deploy-infra.sh")) + &read(&root().join("docs/deploy.md"));
    let mut asked: Vec<&str> = script
        .split("$(output ")
        .skip(1)
        .chain(script.split("output -raw ").skip(1))
        .map(|rest| rest.split([')', ' ', '"']).next().unwrap_or_default())
        .filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && !name.is_empty())
        .collect();
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() >= 3, "{asked:?}");
    let passed: Vec<&str> = script
        .split("TF_VAR_")
        .skip(1)
        .map(|rest| {
            rest.split(|c: char| c != '_' && !c.is_ascii_lowercase()).next().unwrap_or_default()
        })
        .collect();
    assert!(passed.len() >= 5, "{passed:?}");
    for example in ["demo", "production"] {
        let folder = root().join("deploy/terraform/examples").join(example);
        let outputs = blocks(&folder.join("outputs.tf"), "output");
        for name in &asked {
            assert!(outputs.iter().any(|(output, _)| output == name), "{example} lacks {name}");
        }
        let variables = blocks(&folder.join("variables.tf"), "variable");
        for name in &passed {
            assert!(variables.iter().any(|(known, _)| known == name), "{example} lacks {name}");
        }
    }
}

/// The scripts read either example, so one test holds both: a copy, since not every way that
/// a repository travels keeps links.
#[test]
fn both_examples_are_applied_by_the_same_test() {
    let test = |example: &str| {
        let examples = root().join("deploy/terraform/examples");
        read(&examples.join(example).join("tests/apply.tftest.hcl"))
    };
    assert!(test("demo").contains("\nrun \""));
    assert_eq!(test("demo"), test("production"));
}
