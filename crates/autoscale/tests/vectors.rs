//! The committed vectors, from the upstream projects' tests and derived from their code.

#[path = "support/vectors.rs"]
mod vectors;

#[test]
fn every_vector_passes() {
    let replay =
        vectors::replay(include_str!("data/hpa-keda-vectors.json")).expect("known sections");
    let failures: Vec<String> = replay
        .failures
        .iter()
        .map(|failure| {
            format!("{}: expected {}, got {}", failure.id, failure.expected, failure.got)
        })
        .collect();
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(replay.passed > 150, "only {} vectors in the file", replay.passed);
}

#[test]
fn an_unknown_section_is_refused() {
    assert!(vectors::replay("{\"surprise\": []}").is_err());
    assert!(vectors::replay("not json").is_err());
}
