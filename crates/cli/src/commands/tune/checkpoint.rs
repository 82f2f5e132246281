//! `--checkpoint`: where a search goes on after it was stopped.

use std::path::Path;

use tidegate_plan::tune::Checkpoint;

use crate::exit::bad_input;

/// A file that is not there yet is a search at its beginning.
pub(super) fn read(path: &Path) -> anyhow::Result<Option<Checkpoint>> {
    let name = path.display();
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(bad_input(format!("--checkpoint {name}: {error}"))),
    };
    let checkpoint = serde_json::from_str(&text)
        .map_err(|error| bad_input(format!("--checkpoint {name}: no checkpoint: {error}")))?;
    Ok(Some(checkpoint))
}

/// In one step: a kill leaves the last one or this one, never half of it.
pub(super) fn keep(path: &Path, checkpoint: &Checkpoint) -> anyhow::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = std::path::PathBuf::from(beside);
    std::fs::write(&beside, serde_json::to_string(checkpoint)?)
        .and_then(|()| std::fs::rename(&beside, path))
        .map_err(|error| anyhow::anyhow!("--checkpoint {}: {error}", path.display()))
}
