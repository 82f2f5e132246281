//! docs/deploy.md against the scripts, the chart and Terraform: every command of the walk
//! exists, and the scripts print what the page says. The tools that need an account are
//! stand-ins that write down how they were called.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The lines of each block of this language in docs/deploy.md.
fn blocks(language: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open: Option<(bool, Vec<String>)> = None;
    for line in read("docs/deploy.md").lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(name)) => open = Some((name == language, Vec::new())),
            (Some(_), Some(_)) => {
                if let Some((true, lines)) = open.take() {
                    found.push(lines);
                }
            }
            (Some((_, lines)), None) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    assert!(!found.is_empty(), "docs/deploy.md has no block {language}");
    found
}

/// What the stand-ins answer; everything else succeeds in silence.
const STAND_IN: &str = r#"#!/usr/bin/env bash
name=$(basename "$0")
# One write a call: the two ends of a pipe run at once.
line=$(printf '%s' "$name"; printf ' %q' "$@")
printf '%s\n' "$line" >>"$CALLS"
case "$name $*" in
  "aws sts get-caller-identity"*) echo 123456789012 ;;
  "aws ecr describe-"*) exit 254 ;;
  "aws ecr get-login-password"*) echo password ;;
  "docker login"*) cat >/dev/null ;;
  *"output -raw cluster_name") printf trade-tx ;;
  *"output -raw bootstrap_brokers") printf 'b-1.example:9098,b-2.example:9098' ;;
esac
"#;

/// A filled-in `.env`, stand-ins on PATH, and the list of their calls.
struct Account {
    folder: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut env = String::new();
        for line in read(".env.example").lines() {
            let value = match line.split_once('=') {
                Some(("AWS_ACCOUNT_ID", _)) => "123456789012",
                Some(("AWS_REGION", _)) => "eu-west-1",
                Some(("KAFKA_BOOTSTRAP_SERVERS", _)) => "b-1.example:9098,b-2.example:9098",
                _ => "",
            };
            writeln!(env, "{line}{value}").expect("a String takes all");
        }
        std::fs::write(folder.path().join(".env"), env).expect("a file");
        std::fs::create_dir(folder.path().join("bin")).expect("a folder");
        for tool in ["aws", "docker", "helm", "kubectl", "terraform"] {
            let path = folder.path().join("bin").join(tool);
            std::fs::write(&path, STAND_IN).expect("a file");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("mode");
        }
        Self { folder }
    }

    /// Runs a line of the page. Its output, both streams, with the file's place as the page has it.
    fn run(&self, line: &str) -> (bool, String) {
        let bin = self.folder.path().join("bin");
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &format!("exec 2>&1; {line}")])
            .current_dir(root())
            .env_clear()
            .env("PATH", format!("{}:{path}", bin.display()))
            .env("CALLS", self.folder.path().join("calls"))
            .env("ENV_FILE", self.folder.path().join(".env"))
            .output()
            .expect("bash runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let place = format!("{}/.env", self.folder.path().display());
        (output.status.success(), text.replace(&place, ".env"))
    }

    fn calls(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn env(&self) -> String {
        std::fs::read_to_string(self.folder.path().join(".env")).expect(".env")
    }
}

/// `...` within a line stands for any text.
fn line_fits(pattern: &str, line: &str) -> bool {
    let mut parts = pattern.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut last = first;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = part;
    }
    rest.is_empty() || (last.is_empty() && pattern.ends_with("..."))
}

/// A line of `...` alone stands for any lines.
fn fits(expected: &[&str], lines: &[&str]) -> bool {
    match expected.split_first() {
        None => lines.is_empty(),
        Some((&"...", rest)) => (0..=lines.len()).any(|skipped| fits(rest, &lines[skipped..])),
        Some((pattern, rest)) => lines
            .split_first()
            .is_some_and(|(line, left)| line_fits(pattern, line) && fits(rest, left)),
    }
}

#[test]
fn the_scripts_print_what_the_page_says() {
    let mut commands = 0;
    for block in blocks("console") {
        let mut at = 0;
        while at < block.len() {
            let command = block[at].strip_prefix("$ ").expect("a console block starts with $");
            let end = (at + 1..block.len())
                .find(|line| block[*line].starts_with("$ "))
                .unwrap_or(block.len());
            let expected: Vec<&str> = block[at + 1..end].iter().map(String::as_str).collect();
            let (ok, printed) = Account::new().run(command);
            let lines: Vec<&str> = printed.lines().collect();
            assert!(ok, "{command} fails:\n{printed}");
            assert!(
                fits(&expected, &lines),
                "{command} prints\n{printed}\nand the page says\n{}",
                expected.join("\n")
            );
            commands += 1;
            at = end;
        }
    }
    assert!(commands >= 5, "only {commands} commands with output on the page");
}

#[test]
fn wildcards_fit_what_they_should_and_nothing_else() {
    assert!(line_fits("+ docker ... --push .", "+ docker buildx build --push ."));
    assert!(line_fits("INFO: ...", "INFO: anything"));
    assert!(!line_fits("+ docker ... --push .", "+ docker buildx build"));
    assert!(!line_fits("MESSAGES=5", "MESSAGES=5000"));
    assert!(fits(&["a", "...", "d"], &["a", "b", "c", "d"]));
    assert!(!fits(&["a", "d"], &["a", "b", "d"]));
    assert!(!fits(&["a"], &["a", "b"]));
}

/// The producer's lines on the page are made by messages that it has.
#[test]
fn the_producer_says_what_the_page_says() {
    let sources = [
        "crates/load/src/produce/mod.rs",
        "crates/load/src/produce/sending.rs",
        "crates/cli/src/commands/produce.rs",
        "crates/pipeline/src/http.rs",
    ]
    .map(read)
    .concat();
    let messages: Vec<String> = sources
        .split("info!(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once('"'))
        .map(|(message, _)| {
            let pieces = message.split(['{', '}']).step_by(2);
            pieces.collect::<Vec<_>>().join("...")
        })
        .collect();
    let said: Vec<String> =
        blocks("").concat().into_iter().filter(|line| line.contains("] INFO: ")).collect();
    assert!(said.len() >= 4, "{said:?}");
    for line in said {
        let (_, text) = line.split_once("] INFO: ").expect("a level");
        assert!(
            messages.iter().any(|message| line_fits(message, text)),
            "the producer has no message like {text}: {messages:?}"
        );
    }
}

/// The commands of the page's `sh` blocks, without comments and line ends.
fn commands() -> Vec<String> {
    let mut found = Vec::new();
    for block in blocks("sh") {
        let mut open = String::new();
        for line in block {
            let line = line.split("  #").next().unwrap_or_default().trim_end();
            open.push_str(line.trim_end_matches('\\'));
            if !line.ends_with('\\') && !open.is_empty() {
                found.push(std::mem::take(&mut open));
            }
        }
    }
    found
}

/// `what/NAME` for each word of that kind.
fn named<'a>(command: &'a str, kind: &str) -> Vec<&'a str> {
    command.split_whitespace().filter_map(|word| word.strip_prefix(kind)).collect()
}

/// Problems of one command that is no script of ours.
fn problems(command: &str, renders: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut must = |ok: bool, what: String| {
        if !ok {
            problems.push(format!("{command}: {what}"));
        }
    };
    for name in named(command, "deployment/") {
        must(renders.contains(&format!("name: {name}\n")), format!("the chart makes no {name}"));
    }
    for pair in words.windows(2).filter(|pair| pair[0] == "--selector") {
        let label = pair[1].replacen('=', ": ", 1);
        must(renders.contains(&label), format!("no pod has the label {label}"));
    }
    match words[0] {
        "cp" => must(root().join(words[1]).exists(), format!("{} is missing", words[1])),
        "make" => {
            let target = format!("\n{}:", words[1]);
            must(read("Makefile").contains(&target), format!("no target {}", words[1]));
        }
        "kubectl" => must(words.contains(&"--namespace"), "no namespace".to_owned()),
        "aws" => {
            for pair in words.windows(3).filter(|words| words[0] == "output") {
                let output = format!("output \"{}\"", pair[2].trim_end_matches(")\"").trim());
                let outputs = read("deploy/terraform/examples/demo/outputs.tf");
                must(outputs.contains(&output), format!("Terraform has no {output}"));
            }
        }
        "helm" => {
            let values = read("deploy/helm/tidegate/values.yaml");
            for pair in words.windows(2).filter(|pair| pair[0] == "--set") {
                let key = pair[1].trim_start_matches('\'').split('=').next().unwrap_or_default();
                let leaf = key.rsplit('.').next().unwrap_or_default();
                must(values.contains(&format!("{leaf}:")), format!("no value {key}"));
            }
        }
        other => must(false, format!("{other} is not known here")),
    }
    problems
}

#[test]
fn every_command_of_the_walk_exists() {
    let renders =
        ["producer", "demo", "slo"].map(|set| read(&format!("deploy/helm/golden/{set}.yaml")));
    let renders = renders.join("\n");
    let mut faults = Vec::new();
    let (mut scripts, mut others) = (0, 0);
    for command in commands() {
        let script = command.split_whitespace().find(|word| !word.contains('='));
        if script.is_some_and(|word| word.starts_with("./deploy-")) {
            let (ok, printed) = Account::new().run(&format!("{command} --dry-run"));
            if !ok {
                faults.push(format!("{command}: {printed}"));
            }
            scripts += 1;
        } else if let Some((_, set)) = command.split_once("TF_VAR_") {
            let name = set.split('=').next().unwrap_or_default();
            let variables = read("deploy/terraform/examples/demo/variables.tf");
            if !variables.contains(&format!("variable \"{name}\"")) {
                faults.push(format!("{command}: no variable {name}"));
            }
            others += 1;
        } else {
            faults.extend(problems(&command, &renders));
            others += 1;
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(scripts >= 6 && others >= 8, "{scripts} scripts and {others} other commands found");
    assert!(!problems("kubectl logs deployment/nobody", &renders).is_empty());
}

/// What a dry run prints is what a run does, but for questions that change nothing.
#[test]
fn a_run_calls_what_its_dry_run_prints() {
    for script in [
        "./deploy-infra.sh --yes",
        "./deploy-infra.sh --destroy --yes",
        "./deploy-consumer.sh",
        "./deploy-producer.sh 1000",
    ] {
        let (ok, printed) = Account::new().run(&format!("{script} --dry-run"));
        assert!(ok, "{script} --dry-run: {printed}");
        let announced: Vec<String> = printed
            .lines()
            .filter_map(|line| line.strip_prefix("+ "))
            .filter(|line| !line.starts_with(".env"))
            .map(|line| line.replace("\\<cluster_name\\>", "trade-tx"))
            .flat_map(|line| line.split(" | ").map(str::to_owned).collect::<Vec<_>>())
            .collect();
        let account = Account::new();
        let (ok, printed) = account.run(script);
        assert!(ok, "{script}: {printed}");
        let mut called: Vec<String> = account
            .calls()
            .into_iter()
            .filter(|call| {
                !["get-caller-identity", "describe-", "cluster-info", "output -raw"]
                    .iter()
                    .any(|question| call.contains(question))
            })
            .collect();
        // Two ends of one pipe start in any order.
        let mut announced = announced;
        for list in [&mut called, &mut announced] {
            list.sort();
        }
        assert_eq!(called, announced, "{script}");
    }
}

#[test]
fn env_is_filled_in_and_emptied_again() {
    let account = Account::new();
    let (ok, printed) = account.run("./deploy-infra.sh --destroy --yes");
    assert!(ok, "{printed}");
    assert!(account.env().contains("\nKAFKA_BOOTSTRAP_SERVERS=\n"), "{}", account.env());
    let (ok, printed) = account.run("./deploy-infra.sh --yes");
    assert!(ok, "{printed}");
    let line = "\nKAFKA_BOOTSTRAP_SERVERS=b-1.example:9098,b-2.example:9098\n";
    assert!(account.env().contains(line), "{}", account.env());
}

#[test]
fn nobody_is_asked_without_a_terminal() {
    let account = Account::new();
    let (ok, printed) = account.run("./deploy-infra.sh --destroy </dev/null");
    assert!(!ok && printed.contains("--yes"), "{printed}");
    assert!(!account.calls().iter().any(|call| call.contains("destroy")), "{:?}", account.calls());
}
