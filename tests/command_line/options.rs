//! Where an option comes from, and what is said of a wrong one: file, variable, command line.

use std::collections::BTreeSet;

use super::{assert_one_line, run, short_scenario, tidegate};

/// No machine has it: what should have been refused ends there.
const NO_ADDRESS: &str = "192.0.2.1:1";

#[test]
fn a_wrong_type_in_a_file_names_key_line_and_what_is_allowed() {
    let files = tempfile::tempdir().expect("temporary directory");
    let config = files.path().join("c.toml");
    std::fs::write(&config, "[consume]\nbatch_size = \"x\"\n").expect("file");
    let name = config.to_str().expect("utf-8");
    let parts = [name, "line 2", "consume.batch_size = \"x\"", "\"auto\" or a number of records"];
    assert_one_line(&["consume", "--config", name], 2, &parts);
}

/// The variables that the help of a command names.
fn variables(command: &str) -> BTreeSet<String> {
    let output = tidegate().args([command, "--help"]).output().expect("tidegate runs");
    let help = String::from_utf8(output.stdout).expect("utf-8");
    let names = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next());
    names.map(str::to_owned).collect()
}

/// As a manifest has them whose values are left out.
#[test]
fn a_variable_that_is_empty_is_not_set() {
    let commands = ["consume", "up", "produce", "profile", "audit", "scaler"];
    let names: BTreeSet<String> = commands.into_iter().flat_map(variables).collect();
    assert!(names.len() > 30 && names.contains("TIDEGATE_DATABASE"), "{names:?}");
    let with_empty = |arguments: &[&str]| {
        let output = tidegate()
            .args(arguments)
            .envs(names.iter().map(|name| (name, "")))
            .output()
            .expect("tidegate runs");
        let stderr = String::from_utf8(output.stderr).expect("utf-8");
        (output.status.code(), String::from_utf8(output.stdout).expect("utf-8"), stderr)
    };
    // What is wrong is found after all that comes from the environment.
    for command in ["consume", "up", "profile"] {
        let (code, _, said) = with_empty(&[command, "--protocol", "eager"]);
        assert!(code == Some(2) && said.starts_with("tidegate: --protocol: "), "{command}: {said}");
    }
    let (code, _, said) = with_empty(&["produce", "--profile", "/nonexistent.toml"]);
    assert!(code == Some(2) && said.contains("/nonexistent.toml"), "{said}");
    let (code, _, said) = with_empty(&["audit", "--ledger", "x"]);
    assert!(code == Some(2) && said.contains("not provided: --database <URL>"), "{said}");
    let (_, help, _) = with_empty(&["consume", "--help"]);
    assert!(help.contains("[env: BATCH_SIZE="), "{help}");
}

/// Every user of the machine can read a command line, but not another's environment.
#[test]
fn a_database_password_is_taken_from_the_environment_and_not_from_the_command_line() {
    const URL: &str = "postgres://me:s3cret@127.0.0.1:9/d";
    for command in [
        &["consume", "--metrics-addr", NO_ADDRESS][..],
        &["up"],
        &["profile"],
        &["audit", "--ledger", "x"],
        &["table", "check"],
        &["dead-letters", "list"],
    ] {
        let words = [command, &["--database", URL]].concat();
        let ways = ["--database-password-file", "PGPASSWORD", "TIDEGATE_DATABASE"];
        assert_one_line(&words, 2, &ways);
        assert!(!run(&words).1.contains("s3cret"));
    }
    let output = tidegate()
        .args(["table", "check"])
        .env("TIDEGATE_DATABASE", URL)
        .output()
        .expect("tidegate runs");
    let said = String::from_utf8(output.stderr).expect("utf-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("127.0.0.1:9") && !said.contains("s3cret"), "{said}");
}

#[test]
fn every_tool_of_a_database_knows_the_pooler() {
    for (command, code, said) in [
        (&["audit", "--ledger", "/nonexistent"][..], 2, "/nonexistent"),
        (&["table", "check"], 1, "no table trades"),
        (&["dead-letters", "list"], 1, "no such file"),
        (&["dead-letters", "replay"], 1, "no such file"),
    ] {
        let database = ["--database-pooler", "--database", "sqlite:/nonexistent/x.db"];
        let (status, stderr) = run(&[command, &database].concat());
        assert!(status == Some(code) && stderr.contains(said), "{command:?}: {stderr}");
    }
}

#[test]
fn a_drain_longer_than_the_grace_period_is_refused_whatever_the_database() {
    for database in ["none", "sqlite:unused.db"] {
        let words = ["consume", "--database", database, "--metrics-addr", NO_ADDRESS];
        let words = [&words[..], &["--grace-period", "20"]].concat();
        assert_one_line(&words, 2, &["drain_timeout_ms", "grace period of 20000 ms"]);
    }
}

#[test]
fn a_wrong_address_names_its_option() {
    for address in ["nonsense", "nonsense:x", ":80", "1.2.3.4:70000", ""] {
        let listen = ["scaler", "--listen", address];
        assert_one_line(&listen, 2, &["--listen: ", "HOST:PORT"]);
        for command in ["consume", "produce", "scaler"] {
            let metrics = [command, "--metrics-addr", address];
            assert_one_line(&metrics, 2, &["--metrics-addr: ", "HOST:PORT or off"]);
        }
    }
    let scaler = ["scaler", "--listen", "127.0.0.1:0", "--metrics-addr", "off"];
    let cluster = [&scaler[..], &["--cluster", "a:1,nonsense"]].concat();
    assert_one_line(&cluster, 2, &["--cluster: ", "a:1,nonsense", "host:port"]);

    // One that is in use.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
    let taken = taken.local_addr().expect("address").to_string();
    assert_one_line(&["scaler", "--listen", &taken], 1, &["--listen: cannot listen on", &taken]);
    for command in ["consume", "produce", "scaler"] {
        let metrics = [command, "--metrics-addr", &taken];
        let metrics =
            [&metrics[..], if command == "consume" { &["--database", "none"] } else { &[] }];
        let (code, said) = run(&metrics.concat());
        let last = said.lines().last().unwrap_or_default();
        assert!(code == Some(1) && last.contains("--metrics-addr: cannot listen on"), "{said}");
    }
}

#[test]
fn what_a_simulation_writes_goes_to_stdout_one_at_a_time() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let simulate = ["simulate", "--scenario", &scenario];
    for (flag, begins) in [
        ("--csv", "t_s,arrival_per_s,"),
        ("--html", "<!doctype html>"),
        ("--decisions", "{\"at_ms\":"),
    ] {
        let output = tidegate()
            .args(simulate)
            .args([flag, "-"])
            .current_dir(files.path())
            .output()
            .expect("tidegate runs");
        let written = String::from_utf8_lossy(&output.stdout);
        assert!(written.to_lowercase().starts_with(begins), "{flag}: {written}");
        assert!(!written.contains("pod-seconds    "), "{written}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("pod-seconds"), "{flag}");
        let with_json = [&simulate[..], &[flag, "-", "--json"]].concat();
        assert_one_line(&with_json, 2, &[flag, "--json"]);
    }
    let both = [&simulate[..], &["--html", "-", "--csv", "-"]].concat();
    assert_one_line(&both, 2, &["--csv -", "--html -"]);
    assert_one_line(&["up", "--html", "-", "--json", "-"], 2, &["--html -", "--json -"]);
    assert!(!files.path().join("-").exists());

    // Where a file is meant.
    for words in [
        &["tune", "--scenario", &scenario, "--output", "-"][..],
        &["profile", "--output", "-"],
        &["check", "--scenario", &scenario, "--sarif", "-"],
    ] {
        assert_one_line(words, 2, &[" -: it needs a file", "./-"]);
    }
}
