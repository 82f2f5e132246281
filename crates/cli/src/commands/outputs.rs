//! What a command writes must not be what it reads, nor two of its files the same one.

use std::path::{Path, PathBuf};

use crate::exit::bad_input;

/// Flags with their files. Two that are one file lose the first; an input that is written over
/// loses the user's work.
///
/// # Errors
/// Bad input: the two flags and the file.
pub(super) fn distinct(
    inputs: &[(&str, &Path)],
    outputs: &[(&str, Option<&PathBuf>)],
) -> anyhow::Result<()> {
    let read = inputs.iter().filter_map(|(flag, path)| Some((*flag, identity(path)?)));
    let mut known: Vec<(&str, PathBuf)> = read.collect();
    for (flag, path) in outputs {
        let Some((path, file)) = path.and_then(|path| Some((path, identity(path)?))) else {
            continue;
        };
        if let Some((other, _)) = known.iter().find(|(_, known)| *known == file) {
            let path = path.display();
            return Err(bad_input(format!("{flag} {path}: is the file of {other} too")));
        }
        known.push((flag, file));
    }
    Ok(())
}

/// The file a path means; `None` of what is no file that can be lost: a device, a pipe, `-`.
fn identity(path: &Path) -> Option<PathBuf> {
    if path.as_os_str() == "-" {
        return None;
    }
    if let Ok(file) = path.canonicalize() {
        return file.is_file().then_some(file);
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new(".")).canonicalize().ok()?;
    Some(parent.join(path.file_name()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_flags_of_one_file_are_refused_however_it_is_written() {
        let directory = tempfile::tempdir().expect("directory");
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("s.toml"), "").expect("written");
        std::fs::create_dir(at("d")).expect("made");
        let refused = |inputs: &[(&str, &Path)], outputs: &[(&str, Option<&PathBuf>)]| {
            distinct(inputs, outputs).err().map(|error| error.to_string())
        };
        let (one, same, other) = (at("a.csv"), at("d/../a.csv"), at("b.csv"));
        let two = |other| refused(&[], &[("--csv", Some(&one)), ("--html", Some(other))]);
        assert_eq!(two(&other), None);
        let said = two(&same).expect("refused");
        assert!(
            said.starts_with("--html ") && said.ends_with("is the file of --csv too"),
            "{said}"
        );
        let scenario = at("s.toml");
        let over = refused(&[("--scenario", &scenario)], &[("--csv", Some(&at("d/../s.toml")))]);
        assert!(over.is_some_and(|said| said.ends_with("--scenario too")));
        let nothing = PathBuf::from("/dev/null");
        assert_eq!(refused(&[], &[("--csv", Some(&nothing)), ("--html", Some(&nothing))]), None);
    }
}
