//! The generated code is what the proto file says.

use std::path::{Path, PathBuf};

use prost::Message as _;

/// Set to write the files instead of comparing them.
const BLESS: &str = "TIDEGATE_BLESS";

fn in_crate(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn generated_code_is_current() {
    let proto = in_crate("proto/externalscaler.proto");
    let files = protox::compile([&proto], [in_crate("proto")]).expect("the proto file compiles");
    let descriptor = files.encode_to_vec();
    let out = tempfile::tempdir().expect("directory");
    tonic_prost_build::configure()
        .out_dir(out.path())
        .compile_fds(files)
        .expect("code is generated");
    let code = std::fs::read(out.path().join("externalscaler.rs")).expect("generated");
    for (committed, fresh) in [
        ("src/generated/externalscaler.rs", code),
        ("src/generated/externalscaler.fds", descriptor),
    ] {
        let path = in_crate(committed);
        if std::env::var_os(BLESS).is_some() {
            std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
            std::fs::write(&path, &fresh).expect("written");
        }
        let present = std::fs::read(&path).unwrap_or_default();
        assert!(
            present == fresh,
            "{committed} is not what proto/externalscaler.proto gives: {BLESS}=1 writes it"
        );
    }
}
