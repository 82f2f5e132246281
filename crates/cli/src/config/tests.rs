//! Precedence, ranges and error texts.

use super::{BatchSize, Layers};

fn error_of(text: &str) -> String {
    match Layers::of(text).and_then(Layers::resolve) {
        Ok(config) => panic!("accepted: {config:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn the_carried_defaults_resolve() {
    let config = Layers::read(None).and_then(Layers::resolve).expect("defaults");
    assert_eq!(config.kafka.topic, "trade-tx");
    assert_eq!(config.consume.group, "tx-trade-workers");
    assert_eq!(config.consume.batch_size, BatchSize::Auto);
}

#[test]
fn a_flag_beats_the_file_and_the_file_beats_the_default() {
    let mut layers = Layers::of("[consume]\nbatch_size = 7\ngroup = \"g\"").expect("file");
    layers.set("consume", "batch_size", "--batch-size", Some(BatchSize::Fixed(9))).expect("set");
    layers.set("consume", "group", "--group", None::<String>).expect("set");
    let config = layers.resolve().expect("resolves");
    assert_eq!(config.consume.batch_size, BatchSize::Fixed(9));
    assert_eq!(config.consume.group, "g");
    assert_eq!(config.consume.commit_interval_ms, 200);
}

#[test]
fn an_unknown_key_is_refused_with_the_known_ones() {
    let error = error_of("[consume]\nbatch_sise = 7");
    assert!(
        error.starts_with("test.toml: consume.batch_sise: unknown key, allowed are "),
        "{error}"
    );
    assert!(error.contains("batch_size"), "{error}");
    assert!(error_of("[consumer]\nx = 1").contains("unknown section"));
}

#[test]
fn a_value_out_of_range_names_its_source_and_range() {
    assert_eq!(
        error_of("[consume]\nbatch_size = 0"),
        "test.toml: consume.batch_size = 0: allowed is 1 to 100000"
    );
    let mut layers = Layers::read(None).expect("defaults");
    layers.set("consume", "protocol", "--protocol", Some("eager")).expect("set");
    let error = layers.resolve().expect_err("refused").to_string();
    assert_eq!(
        error,
        "--protocol: consume.protocol = \"eager\": allowed is auto, consumer, classic"
    );
}

#[test]
fn a_wrong_type_and_broken_toml_are_one_line() {
    for text in ["[consume]\nbatch_size = \"many\"", "[consume\n", "[up]\npartitions = -1"] {
        let error = error_of(text);
        assert!(error.starts_with("test.toml: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}

#[test]
fn a_wrong_type_names_key_line_value_and_what_is_allowed() {
    for (text, line) in [
        (
            "[kafka]\n\n[consume]\ngroup = \"g\"\nbatch_size = \"x\"",
            "line 5, consume.batch_size = \"x\": allowed is \"auto\" or a number of records",
        ),
        (
            "[consume]\ndatabase_connections = \"2\"",
            "line 2, consume.database_connections = \"2\": allowed is a whole number, 0 or more",
        ),
        (
            "consume.grace_period_s = true",
            "line 1, consume.grace_period_s = true: allowed is a number",
        ),
        (
            "[up]\npartitions = -1",
            "line 2, up.partitions = -1: allowed is a whole number, 0 or more",
        ),
        (
            "[up]\nbatch_size = -1",
            "line 2, up.batch_size = -1: allowed is \"auto\" or a number of records",
        ),
        (
            "[consume]\n# PgBouncer\ndatabase_pooler = 1",
            "line 3, consume.database_pooler = 1: allowed is true or false",
        ),
        ("[kafka]\ntls_ca = [\n1]", "line 2, kafka.tls_ca = [...]: allowed is text in quotes"),
        ("[kafka]\ntopic = 7", "line 2, kafka.topic = 7: allowed is text in quotes"),
        ("[kafka]\nlibrdkafka = 7", "line 2, kafka.librdkafka = 7: allowed is a table"),
        (
            "[kafka.librdkafka]\n\"a.b\" = \"c\"\n\"sasl.password\" = 1234",
            "line 3, kafka.librdkafka.sasl.password = ...: allowed is text in quotes",
        ),
        ("[consume]\n\ngroup = ", "line 3: "),
    ] {
        let error = error_of(text);
        assert!(error.starts_with(&format!("test.toml: {line}")), "{error}");
    }
}

#[test]
fn not_a_number_is_out_of_range() {
    assert!(error_of("[consume]\nbatch_timeout_s = nan").contains("consume.batch_timeout_s"));
}

#[test]
fn the_laws_are_two_and_the_promise_has_a_range() {
    assert_eq!(
        error_of("[up]\nlaw = \"keda\""),
        "test.toml: up.law = \"keda\": allowed is stock, slo"
    );
    assert_eq!(
        error_of("[up]\ntarget_age_s = 0.0"),
        "test.toml: up.target_age_s = 0: allowed is 0.1 to 86400"
    );
    let layers = Layers::of("[up]\nlaw = \"slo\"\ntarget_age_s = 3.0").expect("file");
    let up = layers.resolve().expect("resolves").up;
    assert_eq!((up.law.as_str(), up.target_age_s), ("slo", 3.0));
}

#[test]
fn a_local_world_has_batches_of_a_hundred_unless_told() {
    let size = |text: &str, flag: Option<BatchSize>| {
        let mut layers = Layers::of(text).expect("file");
        layers.set("consume", "batch_size", "--batch-size", flag).expect("set");
        layers.consume_as_in_up("batch_size");
        layers.resolve().expect("resolves").consume.batch_size
    };
    assert_eq!(size("", None), BatchSize::Fixed(100));
    assert_eq!(size("[up]\nbatch_size = 50", None), BatchSize::Fixed(50));
    assert_eq!(size("[consume]\nbatch_size = 7", None), BatchSize::Fixed(7));
    assert_eq!(size("[consume]\nbatch_size = 7", Some(BatchSize::Auto)), BatchSize::Auto);
}

/// The corpus of the fuzz target `config`: what is refused is refused in one line
/// that names the file.
#[test]
fn every_input_of_the_corpus_resolves_or_is_refused_in_one_line() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/config");
    let mut count = 0;
    for file in std::fs::read_dir(corpus).expect(corpus) {
        let path = file.expect("entry").path();
        let bytes = std::fs::read(&path).expect("reads");
        let Ok(text) = std::str::from_utf8(&bytes) else { continue };
        count += 1;
        if let Err(error) = Layers::from_text("c.toml", text).and_then(Layers::resolve) {
            let line = error.to_string();
            assert!(line.starts_with("c.toml: ") && !line.contains('\n'), "{path:?}: {line:?}");
        }
    }
    assert!(count >= 3, "the corpus is missing");
}
