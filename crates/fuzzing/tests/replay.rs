//! The committed corpus, on a stable compiler.

use std::path::{Path, PathBuf};

use tidegate_fuzzing::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus")
}

fn inputs(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let directory = corpus().join(target);
    let files =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut inputs: Vec<(PathBuf, Vec<u8>)> = files
        .map(|file| {
            let path = file.expect("entry").path();
            let bytes = std::fs::read(&path).expect("reads");
            (path, bytes)
        })
        .collect();
    inputs.sort();
    inputs
}

/// A panic names the input by the line before it.
#[test]
fn every_input_of_the_corpus_holds() {
    for (name, check) in TARGETS {
        let inputs = inputs(name);
        assert!(inputs.len() >= 3, "{name}: the corpus is missing");
        for (path, bytes) in inputs {
            println!("{}", path.display());
            check(&bytes);
        }
    }
}

/// Each input, cut and with bits turned, is an input as well.
#[test]
fn what_is_near_the_corpus_holds_as_well() {
    for (name, check) in TARGETS {
        for (path, bytes) in inputs(name) {
            println!("{}", path.display());
            for cut in (0..bytes.len()).step_by(1 + bytes.len() / 24) {
                check(&bytes[..cut]);
                let mut turned = bytes.clone();
                turned[cut] ^= 1 << (cut % 8);
                check(&turned);
            }
        }
    }
}

#[test]
fn every_target_is_a_target_of_the_fuzzer() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/fuzz_targets");
    for (name, _) in TARGETS {
        assert!(directory.join(format!("{name}.rs")).exists(), "fuzz/fuzz_targets/{name}.rs");
    }
}
