//! The settings file. The module is the binary's own, which has no library.
#![no_main]
#![allow(dead_code)]

#[path = "../../crates/cli/src/config/mod.rs"]
mod config;
#[path = "../../crates/cli/src/exit.rs"]
mod exit;

use config::Layers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(error) = Layers::from_text("c.toml", text).and_then(Layers::resolve) {
        let line = error.to_string();
        assert!(line.starts_with("c.toml: ") && !line.contains('\n'), "{line:?}");
    }
});
