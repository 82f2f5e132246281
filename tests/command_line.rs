//! Wrong input gets one clear line and the documented exit code.

#[path = "command_line/options.rs"]
mod options;
#[path = "command_line/outputs.rs"]
mod outputs;
mod support;

use support::tidegate;

/// Runs with `arguments`; returns exit code and stderr.
fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tidegate().args(arguments).output().expect("tidegate runs");
    (output.status.code(), String::from_utf8(output.stderr).expect("utf-8"))
}

fn assert_one_line(arguments: &[&str], code: i32, parts: &[&str]) {
    let (status, stderr) = run(arguments);
    assert_eq!(status, Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    for part in parts {
        assert!(stderr.contains(part), "{arguments:?}: {part:?} is not in {stderr}");
    }
}

#[test]
fn a_value_out_of_range_names_flag_value_and_range() {
    assert_one_line(&["consume", "--batch-size", "0"], 2, &["--batch-size", "0", "1 to 100000"]);
    assert_one_line(&["consume", "--protocol", "eager"], 2, &["--protocol", "eager", "classic"]);
    assert_one_line(&["up", "--partitions", "0"], 2, &["--partitions", "0", "1 to 10000"]);
    assert_one_line(&["up", "--replicas-path", "0:x"], 2, &["--replicas-path", "0:x"]);
}

#[test]
fn a_database_url_of_an_unknown_kind_is_refused() {
    assert_one_line(
        &["consume", "--database", "mysql://x"],
        2,
        &["mysql://x", "sqlite:", "postgres://"],
    );
}

#[test]
fn a_file_that_is_missing_or_wrong_is_named() {
    assert_one_line(&["up", "--scaled-object", "/nonexistent.yaml"], 2, &["/nonexistent.yaml"]);
    assert_one_line(&["up", "--profile", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);
    assert_one_line(&["consume", "--config", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);

    let files = tempfile::tempdir().expect("temporary directory");
    let profile = files.path().join("p.toml");
    std::fs::write(&profile, "phases = [{ kind = \"stepp\", rate_per_s = 1.0 }]").expect("file");
    let name = profile.to_str().expect("utf-8");
    assert_one_line(&["up", "--profile", name], 2, &[name, "stepp"]);

    let config = files.path().join("c.toml");
    std::fs::write(&config, "[consume]\nbatch_sise = 1\n").expect("file");
    let name = config.to_str().expect("utf-8");
    assert_one_line(&["consume", "--config", name], 2, &[name, "batch_sise", "batch_size"]);
}

#[test]
fn settings_that_carry_promises_cannot_be_overridden() {
    assert_one_line(
        &["consume", "--kafka-config", "enable.auto.commit=true"],
        2,
        &["enable.auto.commit"],
    );
}

#[test]
fn a_broker_that_is_not_there_is_said_within_seconds() {
    let started = std::time::Instant::now();
    assert_one_line(&["up", "--brokers", "127.0.0.1:9"], 1, &["127.0.0.1:9"]);
    assert!(started.elapsed() < std::time::Duration::from_secs(20));
}

#[test]
fn an_environment_variable_is_named_as_the_source() {
    let output =
        tidegate().env("BATCH_SIZE", "many").arg("consume").output().expect("tidegate runs");
    assert_eq!(output.status.code(), Some(2));
    let stderr = String::from_utf8(output.stderr).expect("utf-8");
    assert!(stderr.contains("many") && stderr.contains("batch-size"), "{stderr}");
}

#[test]
fn completions_and_manual_pages_are_generated() {
    let output = tidegate().args(["completions", "bash"]).output().expect("completions");
    assert!(String::from_utf8_lossy(&output.stdout).contains("--replicas-path"));
    let directory = tempfile::tempdir().expect("temporary directory");
    let status = tidegate().args(["man", "--output"]).arg(directory.path()).status().expect("man");
    assert!(status.success());
    assert!(directory.path().join("tidegate-up.1").exists());
}

#[test]
fn a_simulation_is_data_on_stdout_and_the_same_each_time() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/scenarios/spike.toml");
    let files = tempfile::tempdir().expect("temporary directory");
    let simulate = |name: &str| {
        let csv = files.path().join(name);
        let output = tidegate()
            .args(["simulate", "--scenario", scenario, "--seed", "7", "--json", "--csv"])
            .arg(&csv)
            .output()
            .expect("tidegate runs");
        assert!(output.status.success(), "{output:?}");
        (output.stdout, std::fs::read_to_string(csv).expect("series"))
    };
    let first = simulate("a.csv");
    let summary: serde_json::Value = serde_json::from_slice(&first.0).expect("json");
    assert_eq!(summary["end_backlog"], 0, "{summary}");
    assert!(first.1.starts_with("t_s,arrival_per_s,") && first.1.lines().count() == 1801);
    assert_eq!(first, simulate("b.csv"));
}

#[test]
fn a_scenario_that_is_missing_or_wrong_is_named() {
    assert_one_line(&["simulate", "--scenario", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = files.path().join("s.toml");
    std::fs::write(
        &scenario,
        "duration_s = 60\nload.phases = [{kind = 'step', rate_per_s = 1.0, duration_s = 1.0}]\n\
         pod.batch_size = 0",
    )
    .expect("file");
    let name = scenario.to_str().expect("utf-8");
    let parts = [name, "pod.batch_size = 0", "1 to 1000000"];
    assert_one_line(&["simulate", "--scenario", name], 2, &parts);
}

#[test]
fn a_number_goes_through_keda_only_where_the_law_has_one() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/scenarios/spike.toml");
    let stock = ["simulate", "--scenario", scenario, "--through-keda"];
    assert_one_line(&stock, 2, &["--through-keda", "--law slo"]);
    let max_age_s = |more: &[&str]| {
        let output = tidegate()
            .args(["simulate", "--scenario", scenario, "--law", "slo", "--json"])
            .args(more)
            .output()
            .expect("tidegate runs");
        assert!(output.status.success(), "{output:?}");
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        summary["max_age_s"].as_f64().expect("a number")
    };
    // A spike waits for the HPA's next sync.
    assert!(max_age_s(&["--through-keda"]) > max_age_s(&[]) + 1.0);
}

#[test]
fn a_decision_is_explained_from_a_simulations_log() {
    let scenario = concat!(env!("CARGO_MANIFEST_DIR"), "/../../config/scenarios/spike.toml");
    let files = tempfile::tempdir().expect("temporary directory");
    let log = files.path().join("decisions.jsonl");
    let log = log.to_str().expect("utf-8");
    let simulated = tidegate()
        .args(["simulate", "--scenario", scenario, "--law", "slo", "--decisions", log])
        .output()
        .expect("tidegate runs");
    assert!(simulated.status.success(), "{simulated:?}");
    let explain = |arguments: &[&str]| {
        let output = tidegate().arg("explain").args(arguments).output().expect("tidegate runs");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("utf-8")
    };
    let story = explain(&[log, "--at", "299"]);
    assert!(story.starts_with("299 s: stay at "), "{story}");
    for part in ["why ", "records a second arrive", "limit ", "stock would say "] {
        assert!(story.contains(part), "{part:?} is not in {story}");
    }
    let changes = explain(&[log, "--changes"]);
    assert!(changes.lines().count() >= 2 && changes.contains("SLO: "), "{changes}");
    let named = ["explain", log, "--name", "a/b"];
    assert_one_line(&named, 2, &["--name a/b", "name no ScaledObject"]);
    assert_one_line(&["explain", log, "--at", "9999"], 2, &["--at 9999", "0 to 1"]);
    assert_one_line(&["explain", "/nonexistent.jsonl"], 2, &["/nonexistent.jsonl"]);
}

/// What the trigger of `tidegate scaler` says is what the simulated law is told.
#[test]
fn a_scaled_object_for_the_scaler_is_simulated_with_the_slo_law() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let path = files.path().join("external.yaml");
    let external = include_str!("../config/scaled-object-external.yaml");
    let simulate = |promise: &str, more: &[&str]| {
        let text = external
            .replace("targetAgeSeconds: \"30\"", &format!("targetAgeSeconds: \"{promise}\""));
        std::fs::write(&path, text).expect("file");
        let output = tidegate()
            .args(["simulate", "--scenario", &scenario, "--scaled-object"])
            .arg(&path)
            .args(more)
            .output()
            .expect("tidegate runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), said, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, said, _) = simulate("40", &["--law", "slo"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("law            slo, 99 % of the records stored within 40 s: kept"),
        "{said}"
    );
    let (_, said, _) = simulate("0.5", &["--law", "slo", "--through-keda"]);
    assert!(said.contains("within 0.5 s: NOT KEPT"), "{said}");
    let (_, flagged, _) = simulate("40", &["--law", "slo", "--target-age", "20"]);
    assert!(flagged.contains("within 20 s: kept"), "{flagged}");

    // The stock law has no threshold there, and a search begins with one.
    let (code, _, said) = simulate("40", &[]);
    assert!(code == Some(2) && said.contains("simulate --law slo"), "{said}");
    let name = path.to_str().expect("utf-8");
    assert_one_line(
        &["tune", "--scenario", &scenario, "--scaled-object", name],
        2,
        &[name, "type kafka", "simulate --law slo"],
    );
}

#[test]
fn a_series_goes_to_stdout_and_its_figures_to_stderr() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let output = tidegate()
        .args(["simulate", "--scenario", &scenario, "--csv", "-"])
        .current_dir(files.path())
        .output()
        .expect("tidegate runs");
    let csv = String::from_utf8_lossy(&output.stdout);
    assert!(csv.starts_with("t_s,arrival_per_s,") && csv.lines().count() == 181, "{csv}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("pod-seconds"));
    assert!(!files.path().join("-").exists());
}

/// Where nothing changes, that is said.
#[test]
fn explain_says_when_no_decision_changed_the_count() {
    let files = tempfile::tempdir().expect("temporary directory");
    let log = files.path().join("d.jsonl");
    std::fs::write(&log, "{\"at_ms\":0,\"decided_by\":\"slo\",\"from\":4,\"to\":4,\"lag\":9,\"metric\":9,\"target\":500,\"active\":true,\"proposal\":4,\"stabilized\":null,\"reason\":null,\"binding\":\"\"}\n").expect("file");
    let output = tidegate().args(["explain", "--changes"]).arg(&log).output().expect("runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said.trim(), "none of 1 decisions changed the count: 4 pods");
}

#[test]
fn tune_exits_3_when_nothing_keeps_the_bound_and_the_manifest_says_so() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let manifest = files.path().join("nearest.yaml");
    let output = tidegate()
        .args(["tune", "--scenario", &scenario, "--configurations", "100", "--seeds", "1"])
        .args(["--objective", "cost", "--target-age", "0.01", "--output"])
        .arg(&manifest)
        .output()
        .expect("tidegate runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let sentence = "The bound is not kept by anything that was found; this comes nearest.";
    assert!(said.contains(sentence), "{said}");
    let text = std::fs::read_to_string(&manifest).expect("the nearest");
    assert!(text.contains(&format!("# {sentence}\n")), "{text}");
    // Its findings name the file.
    let name = manifest.to_str().expect("utf-8");
    assert!(said.contains(&format!("{name}:")) && !said.contains("tuned.yaml"), "{said}");
}

#[test]
fn check_exits_4_on_errors_and_2_on_what_it_cannot_read() {
    let published =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../crates/check/tests/data/published.yaml");
    let files = tempfile::tempdir().expect("temporary directory");
    let sarif = files.path().join("check.sarif");
    let output = tidegate()
        .args(["check", published, "--json", "--partitions", "100", "--sarif"])
        .arg(&sarif)
        .output()
        .expect("tidegate runs");
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
    assert_eq!(found["counts"]["errors"], 1, "{found}");
    let log = std::fs::read_to_string(&sarif).expect("sarif");
    let log: serde_json::Value = serde_json::from_str(&log).expect("json");
    let results = log["runs"][0]["results"].as_array().expect("results").len();
    assert_eq!(Some(results), found["findings"].as_array().map(Vec::len));

    // Text without a terminal has no colours; warnings alone are no failure unless denied.
    let warned = |more: &[&str]| {
        let output = tidegate()
            .args(["check", published, "--allow", "TG040"])
            .args(more)
            .output()
            .expect("tidegate runs");
        assert!(!output.stdout.contains(&0x1b));
        output.status.code()
    };
    assert_eq!((warned(&[]), warned(&["--deny-warnings"])), (Some(0), Some(4)));

    let broken = files.path().join("broken.yaml");
    std::fs::write(&broken, "kind: ScaledObject\nspec: [1,\n").expect("file");
    let name = broken.to_str().expect("utf-8");
    assert_one_line(&["check", name], 2, &[name, ":2:7"]);
    assert_one_line(&["check", "/nonexistent.yaml"], 2, &["/nonexistent.yaml"]);
    assert_one_line(&["check", published, "--allow", "TG999"], 2, &["TG999", "TG020"]);
}

/// A short scenario, and its name as an argument.
fn short_scenario(directory: &std::path::Path) -> String {
    let path = directory.join("short.toml");
    std::fs::write(
        &path,
        "duration_s = 180\ntopic.partitions = 24\npod.replicas = 3\npod.batch_s = 1.0\n\
         load.phases = [{ kind = 'step', rate_per_s = 200.0, duration_s = 60.0 },\n\
         { kind = 'step', rate_per_s = 1500.0, duration_s = 120.0 }]\n",
    )
    .expect("file");
    path.to_str().expect("utf-8").to_owned()
}

#[test]
fn tune_writes_a_manifest_that_is_read_and_goes_on_from_a_checkpoint() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let checkpoint = files.path().join("tune.json");
    let tune = |output: &str| {
        let manifest = files.path().join(output);
        let output = tidegate()
            .args(["tune", "--scenario", &scenario, "--configurations", "200", "--seeds", "1"])
            .args(["--json", "--checkpoint"])
            .arg(&checkpoint)
            .arg("--output")
            .arg(&manifest)
            .output()
            .expect("tidegate runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let found: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        (found, manifest.to_str().expect("utf-8").to_owned())
    };
    let (found, manifest) = tune("a.yaml");
    assert_eq!(found["evaluated"], 200);
    assert!(found["held_out"]["age_s"].as_f64() < found["before"]["age_s"].as_f64(), "{found}");
    // The search is over: the checkpoint gives the same at once.
    assert_eq!(found, tune("a.yaml").0);
    let simulated = tidegate()
        .args(["simulate", "--scenario", &scenario, "--scaled-object", &manifest])
        .status()
        .expect("tidegate runs");
    assert!(simulated.success());
    assert_one_line(
        &[
            "tune",
            "--scenario",
            &scenario,
            "--seed",
            "9",
            "--checkpoint",
            checkpoint.to_str().expect("utf-8"),
        ],
        2,
        &["--checkpoint", "other"],
    );
    assert_one_line(&["tune", "--scenario", &scenario, "--target-age", "5"], 2, &["--target-age"]);
}

/// What is written for either law passes `check`, and says how it is used. KEDA's own trigger
/// keeps warnings: counts between which nothing changes are not among its settings.
#[test]
fn what_tune_writes_is_checked_and_says_where_it_goes() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    for (law, trigger, says, strict) in [
        ("stock", "type: \"kafka\"", "its trigger is KEDA's own", None),
        (
            "slo",
            "type: \"external-push\"",
            "its trigger asks `tidegate scaler`",
            Some("--deny-warnings"),
        ),
    ] {
        let manifest = files.path().join(format!("{law}.yaml"));
        let output = tidegate()
            .args(["tune", "--scenario", &scenario, "--scaled-object", "local", "--law", law])
            .args(["--configurations", "200", "--seeds", "1", "--objective", "cost"])
            .args(["--target-age", "20", "--output"])
            .arg(&manifest)
            .output()
            .expect("tidegate runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.contains(says), "{said}");
        let text = std::fs::read_to_string(&manifest).expect("manifest");
        assert!(text.contains(trigger), "{text}");
        let checked = tidegate()
            .args(["check", "--target-age", "20"])
            .args(strict)
            .arg(&manifest)
            .arg(&scenario)
            .output()
            .expect("tidegate runs");
        let found = String::from_utf8_lossy(&checked.stdout);
        assert!(checked.status.success(), "{law}: {found}\n{text}");
    }
}

#[test]
fn plan_exits_3_when_the_simulation_breaks_the_promise() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let plan = |slo: &str| {
        let output = tidegate()
            .args(["plan", "--scenario", &scenario, "--seeds", "1", "--json", "--slo", slo])
            .output()
            .expect("tidegate runs");
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout).expect("json");
        (output.status.code(), plan["is_kept"].as_bool(), plan["binding"].clone())
    };
    assert_eq!((plan("30").0, plan("30").1), (Some(0), Some(true)));
    assert_eq!(plan("0.5"), (Some(3), Some(false), "batch time".into()));
    for budget in ["--sink-rows", "--sink-commits"] {
        let output = tidegate()
            .args(["plan", "--scenario", &scenario, "--seeds", "1", "--slo", "30", budget, "5"])
            .output()
            .expect("tidegate runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(3), "{said}");
        assert!(said.contains("binding        database ") && said.contains("NOT KEPT"), "{said}");
    }
    assert_one_line(&["plan", "--scenario", &scenario, "--slo", "0"], 2, &["--slo"]);
}

/// Wrong values, for each of the tools: one line that names flag, value and range.
#[test]
fn each_tool_says_in_one_line_what_is_wrong() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let write = |name: &str, text: &str| {
        let path = files.path().join(name);
        std::fs::write(&path, text).expect("file");
        path.to_str().expect("utf-8").to_owned()
    };
    let text = std::fs::read_to_string(&scenario).expect("scenario");
    let typo = write("typo.toml", &text.replace("topic.partitions", "topic.partitons"));
    let demo = include_str!("../config/scaled-object-demo.yaml");
    let object_typo = write("typo.yaml", &demo.replace("lagThreshold", "lagThreshhold"));
    let below = write("below.yaml", &demo.replace("maxReplicaCount: 100", "maxReplicaCount: -1"));
    let nothing = write("empty.yaml", "");
    let nowhere = "/nonexistent/x";
    for tool in [&["simulate"][..], &["tune", "--configurations", "20"], &["plan", "--slo", "30"]] {
        let with = |more: &[&str], parts: &[&str]| {
            assert_one_line(&[tool, more].concat(), 2, parts);
        };
        with(&["--scenario", "/nonexistent.toml"], &["--scenario /nonexistent.toml"]);
        with(&["--scenario", &typo], &[&typo, "partitons", "partitions"]);
        with(&["--scenario", &nothing], &[&nothing, "duration_s"]);
        let object = ["--scenario", scenario.as_str(), "--scaled-object"];
        with(&[&object[..], &[&object_typo]].concat(), &[&object_typo, "lagThreshhold"]);
        with(&[&object[..], &[&below]].concat(), &["maxReplicaCount = -1", "allowed is 1 to"]);
        with(&[&object[..], &[&nothing]].concat(), &[&nothing, "ScaledObject"]);
        with(&[], &["--scenario <FILE>"]);
        with(&["--scenari", "x"], &["--scenari", "'--scenario'"]);
    }
    let of = |tool: &'static str, more: &[&str], parts: &[&str]| {
        let arguments = [&[tool, "--scenario", &scenario], more].concat();
        assert_one_line(&arguments, 2, parts);
    };
    of("simulate", &["--law", "slo", "--target-age", "-1"], &["target_age_s = -1", "0.1 to 86400"]);
    of("simulate", &["--target-age", "5"], &["--target-age", "--law slo"]);
    of("simulate", &["--csv", "-", "--json"], &["--csv -", "--json"]);
    of("simulate", &["--law", "pid"], &["'pid'", "--law", "stock, slo"]);
    of("simulate", &["--csv", nowhere], &["--csv /nonexistent/x", "directory does not exist"]);
    of("simulate", &["--html", "/"], &["--html /", "is a directory"]);
    of("simulate", &["--series"], &["--json"]);
    of("tune", &["--objective", "cost"], &["--target-age"]);
    of("tune", &["--objective", "cost", "--target-age", "-3"], &["--target-age", "more than 0"]);
    of("tune", &["--configurations", "0"], &["--configurations", "1..=10000000"]);
    of("tune", &["--output", nowhere], &["--output /nonexistent/x", "directory does not exist"]);
    of("tune", &["--checkpoint", &nothing], &["--checkpoint", "no checkpoint"]);
    of("plan", &["--slo", "-1"], &["--slo -1", "more than 0"]);
    of("plan", &["--slo", "30", "--max-pods", "-2"], &["--max-pods", "1..=10000"]);
    of("plan", &["--slo", "30", "--sink-rows", "0"], &["--sink-rows 0", "more than 0"]);

    let wrong = write("wrong.csv", "a,b\n1,2\n");
    assert_one_line(&["explain", &nothing], 2, &[&nothing, "no decision"]);
    assert_one_line(&["explain", &wrong, "--at", "-3"], 2, &["line 1", "not a decision"]);
    let log = write("text.log", "[2026-11-30 16:00:00] INFO: decided object=\"a/b\"\n");
    assert_one_line(&["explain", &log], 2, &["line 1", "--log-format json"]);
    assert_one_line(&["explain", "http://127.0.0.1:1"], 1, &["http://127.0.0.1:1"]);
    for address in ["https://scaler", "http://scaler", "http://scaler:x/decisions"] {
        assert_one_line(&["explain", address], 2, &[address, "http://HOST:PORT"]);
    }
    assert_one_line(&["report", &wrong], 2, &["line 1", "t_s,arrival_per_s"]);
    assert_one_line(&["check", &nothing], 2, &[&nothing, "no document"]);
    assert_one_line(&["check"], 2, &["<FILE>"]);
    assert_one_line(
        &["check", &object_typo, "--sarif", nowhere],
        2,
        &["--sarif", "does not exist"],
    );
    assert_one_line(&["check", &object_typo, "--allow", "TG999"], 2, &["--allow TG999", "TG001"]);
    assert_one_line(&["profile", "--output", nowhere], 2, &["--output", "does not exist"]);
    assert_one_line(&["profile", "--sizes", "0"], 2, &["--sizes", "1..=100000"]);
    assert_one_line(&["profile", "--partitions", "-1"], 2, &["--partitions", "4..=1000"]);
    assert_one_line(&["up", "--html", nowhere], 2, &["--html", "does not exist"]);
    let others = ["up", "--dashboard", "0.0.0.0:8080"];
    assert_one_line(&others, 2, &["--dashboard 0.0.0.0:8080", "127.0.0.1:PORT"]);
    assert_one_line(&["scaler", "--listen", "nonsense"], 2, &["nonsense", "HOST:PORT"]);
    assert_one_line(&["scaler", "--max-objects", "-1"], 2, &["--max-objects", "-1"]);
    assert_one_line(&["scaler", "--pod-metrics", "g"], 2, &["--pod-metrics", "GROUP=HOST:PORT"]);
    let shadow = ["scaler", "--shadow", "--metrics-addr", "off", "--scaled-object"];
    assert_one_line(&[&shadow[..], &[nowhere]].concat(), 2, &[nowhere]);
    let external = include_str!("../config/scaled-object-external.yaml");
    let external_typo =
        write("external.yaml", &external.replace("targetAgeSeconds", "targetAgeSecond"));
    let parts = ["targetAgeSecond (unknown key)", "targetAgeSeconds"];
    assert_one_line(&[&shadow[..], &[&external_typo]].concat(), 2, &parts);
    let [one, same] = ["one.yaml", "same.yaml"].map(|name| write(name, external));
    let both = [&shadow[..], &[&one, "--scaled-object", &same]].concat();
    assert_one_line(&both, 2, &[&one, &same, "default/trade-tx-consumer-scaler"]);
    let header = write("header.csv", "t_s,produced,lag,spec_replicas,ready_pods\n");
    assert_one_line(&["scaler", "replay", "--series", &header], 2, &["header.csv", "no row"]);
    assert_one_line(&["scaler", "replay", "--series", &wrong], 2, &["wrong.csv", "no column t_s"]);
}

#[test]
fn a_recorded_series_is_run_through_the_law() {
    let files = tempfile::tempdir().expect("temporary directory");
    let (scenario, series) = (short_scenario(files.path()), files.path().join("series.csv"));
    let simulated = tidegate()
        .args(["simulate", "--scenario", &scenario, "--scaled-object", "local", "--csv"])
        .arg(&series)
        .output()
        .expect("tidegate runs");
    assert!(simulated.status.success(), "{simulated:?}");
    let replayed = tidegate()
        .args(["scaler", "replay", "--law", "slo", "--scaled-object", "local", "--series"])
        .arg(&series)
        .output()
        .expect("tidegate runs");
    let said = String::from_utf8_lossy(&replayed.stdout);
    assert!(replayed.status.success(), "{said}{}", String::from_utf8_lossy(&replayed.stderr));
    let is_decision =
        |line: &str| line.contains("recorded ") && line.contains("law ") && line.contains("SLO: ");
    assert!(said.lines().filter(|line| is_decision(line)).count() >= 2, "{said}");
}

/// Whether a process has a handler for Ctrl-C: before, it would end it at once.
fn listens_to_interrupts(pid: u32) -> bool {
    const INTERRUPT: u64 = 1 << 1;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0) & INTERRUPT != 0
}

#[test]
fn ctrl_c_ends_a_search_with_what_it_found_and_a_plan_with_nothing() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let (checkpoint, best) = (files.path().join("tune.json"), files.path().join("best.yaml"));
    let limit = std::time::Duration::from_secs(60);
    let mut search = tidegate()
        .args(["tune", "--scenario", &scenario, "--configurations", "10000000", "--checkpoint"])
        .arg(&checkpoint)
        .arg("--output")
        .arg(&best)
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("tidegate starts");
    support::wait_for("a first generation", limit, || checkpoint.exists().then_some(()));
    support::signal(search.id(), "INT");
    assert_eq!(search.wait().expect("ends").code(), Some(130));
    let found = std::fs::read_to_string(&best).expect("the best so far");
    assert!(found.contains("stopped early") && found.contains("kind: \"ScaledObject\""), "{found}");

    let plan = tidegate()
        .args(["plan", "--scenario", &scenario, "--slo", "0.5", "--seeds", "100"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("tidegate starts");
    support::wait_for("its handler", limit, || listens_to_interrupts(plan.id()).then_some(()));
    support::signal(plan.id(), "INT");
    let output = plan.wait_with_output().expect("ends");
    assert_eq!((output.status.code(), output.stdout.len()), (Some(130), 0), "{output:?}");
}
