//! Files that a command writes.
//!
//! Contract: what cannot be written, what the command reads, and one file for two flags are
//! refused before the work begins; `-` is stdout where a command can print.

use std::path::{Path, PathBuf};

use crate::exit::bad_input;

/// Files that a command reads, by flag or by what they are.
pub(super) type Inputs<'a> = [(&'a str, &'a Path)];

/// Files that a command will write at its end, by flag: what cannot be written is told
/// before the work begins.
///
/// # Errors
/// Bad input: the directory does not exist, the file is a directory, `-`, one of the inputs, or
/// another flag's too.
pub(super) fn can_write<const N: usize>(
    inputs: &Inputs<'_>,
    files: [(&str, Option<&PathBuf>); N],
) -> anyhow::Result<()> {
    for (flag, path) in files {
        let Some(path) = path else { continue };
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let why = if is_stdout(path) {
            "it needs a file; one of that name is ./-"
        } else if path.is_dir() {
            "is a directory"
        } else if directory.is_some_and(|directory| !directory.is_dir()) {
            "its directory does not exist"
        } else {
            continue;
        };
        return Err(bad_input(format!("{flag} {}: {why}", path.display())));
    }
    distinct(inputs, &files)
}

/// The same where one of the files may be `-`, stdout: the flag of that one.
///
/// # Errors
/// Bad input, as for [`can_write`], or two that are stdout.
pub(super) fn can_write_or_print<const N: usize>(
    inputs: &Inputs<'_>,
    files: [(&'static str, Option<&PathBuf>); N],
) -> anyhow::Result<Option<&'static str>> {
    let printed = files.map(|(flag, path)| path.filter(|path| is_stdout(path)).map(|_| flag));
    can_write(inputs, files.map(|(flag, path)| (flag, path.filter(|path| !is_stdout(path)))))?;
    let mut flags = printed.into_iter().flatten();
    match (flags.next(), flags.next()) {
        (Some(one), Some(other)) => {
            Err(bad_input(format!("{one} -: not with {other} -, which is on stdout too")))
        }
        (one, _) => Ok(one),
    }
}

pub(super) fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// Writes the file of a flag; `-` is stdout.
pub(super) fn write(flag: &str, path: &Path, text: &str) -> anyhow::Result<()> {
    if is_stdout(path) {
        anstream::print!("{text}");
        return Ok(());
    }
    std::fs::write(path, text)
        .map_err(|error| anyhow::anyhow!("{flag} {}: {error}", path.display()))
}

/// Two outputs that are one file lose the first; an input that is written over
/// loses the user's work.
///
/// # Errors
/// Bad input: the two flags and the file.
fn distinct(inputs: &Inputs<'_>, outputs: &[(&str, Option<&PathBuf>)]) -> anyhow::Result<()> {
    // What is no file is a built-in name, or told when it is read.
    let files = inputs.iter().filter(|(_, path)| path.is_file());
    let read = files.filter_map(|(flag, path)| Some((*flag, identity(path)?)));
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
    if is_stdout(path) {
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
