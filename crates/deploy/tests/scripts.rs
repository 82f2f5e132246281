//! The three deploy scripts: dry runs, what they refuse, and how they treat `.env`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

struct Env {
    file: PathBuf,
    _folder: tempfile::TempDir,
}

/// A complete `.env`, with these lines in the place of the ones they name.
fn env(changes: &[(&str, &str)]) -> Env {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join(".env");
    let mut text = std::fs::read_to_string(root().join(".env.example")).expect(".env.example");
    for (name, value) in [
        ("AWS_ACCOUNT_ID", "123456789012"),
        ("AWS_REGION", "eu-west-1"),
        ("KAFKA_BOOTSTRAP_SERVERS", "b-1.example:9098,b-2.example:9098"),
    ]
    .iter()
    .chain(changes)
    {
        let line =
            text.lines().find(|line| line.starts_with(&format!("{name}="))).map(str::to_owned);
        text = text.replace(&line.expect("a line to change"), &format!("{name}={value}"));
    }
    std::fs::write(&file, text).expect("a file");
    Env { file, _folder: folder }
}

fn run(script: &str, arguments: &[&str], env: &Env) -> Output {
    let mut command = Command::new("bash");
    command.arg(root().join(script)).args(arguments).env_clear();
    command.env("PATH", std::env::var("PATH").unwrap_or_default()).env("ENV_FILE", &env.file);
    command.output().expect("bash runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_dry_run_prints_every_command_and_touches_nothing() {
    let env = env(&[]);
    let before = std::fs::read_to_string(&env.file).expect(".env");
    for (script, arguments, commands) in [
        (
            "deploy-infra.sh",
            &["--dry-run"][..],
            &[
                "terraform -chdir=deploy/terraform/examples/demo init",
                "plan -input=false -out=tfplan",
                "apply -input=false tfplan",
                "aws eks update-kubeconfig --region eu-west-1",
            ][..],
        ),
        ("deploy-infra.sh", &["--destroy", "--dry-run"], &["destroy -input=false"]),
        (
            "deploy-consumer.sh",
            &["--dry-run"],
            &[
                "docker buildx build",
                "helm upgrade --install trade-tx-consumer deploy/helm/tidegate --namespace trade-tx",
                "consumer.batchSize=100",
                "scaling.law=stock",
                "--wait",
            ],
        ),
        (
            "deploy-producer.sh",
            &["5000", "--dry-run"],
            &["helm upgrade --install trade-tx-producer", "producer.messagesPerSecond=5000"],
        ),
    ] {
        let output = run(script, arguments, &env);
        let printed = text(&output.stdout);
        assert!(output.status.success(), "{script}: {}", text(&output.stderr));
        for command in commands {
            let found =
                printed.lines().any(|line| line.starts_with("+ ") && line.contains(command));
            assert!(found, "{script} does not print {command}:\n{printed}");
        }
    }
    assert_eq!(std::fs::read_to_string(&env.file).expect(".env"), before);
}

#[test]
fn what_is_missing_or_malformed_is_named_one_by_one() {
    let env = env(&[("AWS_ACCOUNT_ID", "12"), ("AWS_REGION", ""), ("KAFKA_TOPIC", "a b")]);
    let output = run("deploy-consumer.sh", &["--dry-run"], &env);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for part in [
        "AWS_ACCOUNT_ID=12: 12 digits",
        "AWS_REGION is not set",
        "KAFKA_TOPIC=a b:",
        "3 setting(s)",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(output.stdout.is_empty(), "nothing may be run: {}", text(&output.stdout));
}

#[test]
fn wrong_use_is_told_with_exit_code_2() {
    let env = env(&[]);
    for (script, arguments) in [
        ("deploy-infra.sh", &["--force"][..]),
        ("deploy-producer.sh", &["fast"]),
        ("deploy-producer.sh", &["1", "2"]),
    ] {
        let output = run(script, arguments, &env);
        assert_eq!(output.status.code(), Some(2), "{script} {arguments:?}");
        assert!(text(&output.stderr).contains("--help"), "{script}");
    }
}

#[test]
fn a_missing_env_says_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let env = Env { file: folder.path().join("none"), _folder: folder };
    let output = run("deploy-infra.sh", &["--dry-run"], &env);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("cp .env.example"), "{}", text(&output.stderr));
}

#[test]
fn set_env_changes_one_line_and_keeps_every_other() {
    let env = env(&[]);
    let before = std::fs::read_to_string(&env.file).expect(".env");
    let script = format!(
        "set -euo pipefail; . {}/scripts/deploy/lib.sh; set_env MESSAGES_PER_SECOND 'a b|c&d'; set_env NEW_ONE 1",
        root().display()
    );
    let status = Command::new("bash").args(["-c", &script]).env("ENV_FILE", &env.file).status();
    assert!(status.expect("bash runs").success());
    let after = std::fs::read_to_string(&env.file).expect(".env");
    let expected =
        before.replace("MESSAGES_PER_SECOND=0", "MESSAGES_PER_SECOND=a b|c&d") + "NEW_ONE=1\n";
    assert_eq!(after, expected);
}

#[test]
fn the_env_is_read_and_not_run() {
    let env = env(&[("KAFKA_TOPIC", "$(touch${IFS}/tmp/never)")]);
    let output = run("deploy-producer.sh", &["--dry-run"], &env);
    assert_eq!(output.status.code(), Some(1));
    assert!(!Path::new("/tmp/never").exists());
}
