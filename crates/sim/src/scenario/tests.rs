use super::{Protocol, Range, Scenario};

const LEAST: &str =
    "duration_s = 60\nload.phases = [{kind = 'step', rate_per_s = 1.0, duration_s = 60.0}]\n";

fn error(name: &str, text: &str) -> String {
    Scenario::from_text(name, text).expect_err(text).to_string()
}

#[test]
fn little_is_enough() {
    let scenario = Scenario::from_text("s.toml", LEAST).expect("valid");
    assert_eq!(scenario.pod.capacity_per_s(), 100.0);
    assert_eq!(scenario.group.protocol, Protocol::Kip848Tuned);
    assert!(scenario.group.times().settle_s.max < 0.5);
}

#[test]
fn yaml_and_toml_say_the_same() {
    let yaml = "duration_s: 60\nload:\n  phases: [{kind: step, rate_per_s: 1.0, duration_s: 60}]";
    assert_eq!(
        Scenario::from_text("s.yaml", yaml).expect("yaml"),
        Scenario::from_text("s.toml", LEAST).expect("toml")
    );
}

#[test]
fn a_group_keeps_what_its_protocol_does_not_say() {
    let text = format!("{LEAST}[group]\nprotocol = 'kip848'\nsettle_s = {{min = 1.0, max = 2.0}}");
    let times = Scenario::from_text("s.toml", &text).expect("valid").group.times();
    assert_eq!(times.settle_s, Range { min: 1.0, max: 2.0 });
    assert_eq!(times.session_timeout_s, 45.0);
}

#[test]
fn one_number_is_a_range_that_does_not_vary() {
    let scenario = |text: &str| {
        Scenario::from_text("s.toml", &format!("{LEAST}[pod]\nstart_s = {text}")).expect("valid")
    };
    assert_eq!(scenario("3").pod.start_s, Range { min: 3.0, max: 3.0 });
    assert_eq!(scenario("3.5"), scenario("{min = 3.5, max = 3.5}"));
}

#[test]
fn errors_are_one_line_with_file_field_value_and_range() {
    let text = format!("{LEAST}[pod]\nbatch_size = 0");
    assert_eq!(error("s.toml", &text), "s.toml: pod.batch_size = 0: allowed is 1 to 1000000");
    for (more, parts) in [
        ("[pod]\nbatch_sise = 1", &["pod.batch_sise", "batch_size"][..]),
        ("[pod]\nbatch_size = 'x'", &["pod.batch_size", "x"]),
        ("[pod]\nstart_s = {min = 3.0, max = 2.0}", &["pod.start_s.max = 2", "3 to 3600"]),
        ("[group]\nprotocol = 'kip'", &["group.protocol", "kip", "kip848-tuned"]),
        (
            "[group]\nblind = {late_probability = 0.1, short_batch_probability = 0.1, round_s = 1.0}",
            &["group.blind", "cooperative-blind"],
        ),
        ("[topic]\npartitions = 2\nweights = [1.0]", &["topic.weights = 1 values", "2"]),
        (
            "[[faults]]\nkind = 'slow_sink'\nat_s = 1.0\nduration_s = 1.0\nfactor = 0.5",
            &["faults[0].factor = 0.5", "1 to 1000"],
        ),
        ("[[faults]]\nkind = 'fire'", &["faults[0]", "fire", "pod_crash"]),
        ("[pod]\nstart_s = {min = 3.0, most = 2.0}", &["pod.start_s", "most", "max"]),
        ("[pod]\nstart_s = 'soon'", &["pod.start_s", "soon", "seconds, or {min, max}"]),
        ("[sink]\nrows = 1", &["sink.rows", "rows_per_s"]),
        ("[sink]\nrows_per_s = -1.0", &["sink.rows_per_s = -1", "0 to"]),
        ("[[faults]]\nkind = 'stale_metric'\nat_s = 1.0\nduration_s = -1.0", &["duration_s = -1"]),
        ("[control", &["line 3"]),
    ] {
        let line = error("s.toml", &format!("{LEAST}{more}"));
        assert!(line.starts_with("s.toml: ") && !line.contains('\n'), "{line}");
        for part in parts {
            assert!(line.contains(part), "{part:?} is not in {line}");
        }
    }
    let load =
        "duration_s = 60\nload.phases = [{kind = 'step', rate_per_s = -1.0, duration_s = 6.0}]";
    assert!(error("s.toml", load).contains("load.phases[0].rate_per_s = -1: allowed is 0 to"));
}

#[test]
fn the_reference_file_says_the_defaults() {
    let reference = include_str!("../../../../config/scenarios/reference.toml");
    assert_eq!(
        Scenario::from_text("reference.toml", reference).expect("valid"),
        Scenario::from_text("s.toml", LEAST).expect("valid")
    );
    for commented in ["detect_s = 0.1", "min = 0.2, max = 0.4", "session_timeout_s = 6.0"] {
        assert!(reference.contains(commented), "{commented}");
    }
    let group = super::Group::default().times();
    assert_eq!((group.detect_s, group.session_timeout_s), (0.1, 6.0));
    assert_eq!(group.settle_s, Range { min: 0.2, max: 0.4 });
}
