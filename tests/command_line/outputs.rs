//! What is written: never over what was read or written by another flag, and an end of the
//! disk is one line.

use super::{assert_one_line, short_scenario, tidegate};

#[test]
fn no_file_is_written_over_what_was_read_or_by_two_flags() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let before = std::fs::read(&scenario).expect("scenario");
    let csv = files.path().join("run.csv").display().to_string();
    let from = ["--scenario", &scenario];
    for (words, parts) in [
        (&["simulate", "--csv", &csv, "--html", &csv][..], ["--html", "the file of --csv too"]),
        (&["simulate", "--decisions", &scenario], ["--decisions", "the file of --scenario too"]),
        (&["tune", "--output", &csv, "--checkpoint", &csv], ["--checkpoint", "of --output too"]),
        (&["tune", "--output", &scenario], ["--output", "the file of --scenario too"]),
        (&["check", "--sarif", &scenario], ["--sarif", "the file of what is checked too"]),
    ] {
        assert_one_line(&[words, &from].concat(), 2, &parts);
    }
    assert_eq!(std::fs::read(&scenario).expect("scenario"), before);
    assert!(!std::path::Path::new(&csv).exists());
}

/// What a run or a report leaves behind, however the file is written.
#[test]
fn a_run_and_a_report_spare_what_they_read_as_well() {
    let files = tempfile::tempdir().expect("temporary directory");
    let at = |name: &str| files.path().join(name).display().to_string();
    let (profile, series, csv) = (at("p.toml"), at("s.csv"), at("run.csv"));
    std::fs::write(&profile, "phases = [{ kind = 'step', rate_per_s = 1.0, duration_s = 1.0 }]")
        .expect("profile");
    let simulated = short_scenario(files.path());
    let made = tidegate().args(["simulate", "--scenario", &simulated, "--csv", &series]).output();
    assert!(made.expect("tidegate runs").status.success());
    let before = std::fs::read(&series).expect("series");
    let again = at("./s.csv");
    for (words, parts) in [
        (&["up", "--csv", &csv, "--html", &csv][..], ["--html", "the file of --csv too"]),
        (&["up", "--profile", &profile, "--json", &profile], ["--json", "of --profile too"]),
        (&["report", &series, "--output", &again], ["--output", "the file of the series too"]),
    ] {
        assert_one_line(words, 2, &parts);
    }
    assert_eq!(std::fs::read(&series).expect("series"), before);
}

#[test]
fn a_full_disk_behind_stdout_is_one_line_and_no_panic() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = short_scenario(files.path());
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a device");
    for more in [&["--json"][..], &["--csv", "-"]] {
        let output = tidegate()
            .args(["simulate", "--scenario", &scenario])
            .args(more)
            .stdout(full())
            .output()
            .expect("tidegate runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.starts_with("tidegate: stdout: No space left") && said.lines().count() == 1);
    }
}

/// A run that ends under load after a long quiet: what is in flight is no broken promise.
#[test]
fn young_records_at_the_end_break_no_promise() {
    let files = tempfile::tempdir().expect("temporary directory");
    let scenario = files.path().join("s.toml");
    let text = "duration_s = 4000\n[load]\nphases = [\n\
         { kind = 'step', rate_per_s = 0.0, duration_s = 3500.0 },\n\
         { kind = 'step', rate_per_s = 500.0, duration_s = 500.0 }]\n\
         [topic]\npartitions = 12\n[pod]\nreplicas = 6\n";
    std::fs::write(&scenario, text).expect("file");
    let output = tidegate()
        .args(["simulate", "--law", "slo", "--target-age", "10", "--scenario"])
        .arg(&scenario)
        .output()
        .expect("tidegate runs");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.ends_with("within 10 s: kept\n"), "{said}");
}
