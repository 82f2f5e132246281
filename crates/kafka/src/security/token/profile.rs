//! A profile with keys of AWS's shared credentials file.

use std::path::PathBuf;

use super::aws::{Credentials, Env};

/// Keys of `AWS_PROFILE` (or `default`) in `AWS_SHARED_CREDENTIALS_FILE` (or
/// `~/.aws/credentials`). A profile without keys is none, unless it was asked for
/// by name: then it is an error that says so.
pub(super) fn read(env: Env<'_>) -> Result<Option<Credentials>, String> {
    let set = |name: &str| env(name).filter(|value| !value.is_empty());
    let named = set("AWS_PROFILE");
    let file = set("AWS_SHARED_CREDENTIALS_FILE")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(set("HOME")?).join(".aws/credentials")));
    let text = file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
    let found = text.and_then(|text| keys(&text, named.as_deref().unwrap_or("default")));
    match (found, named) {
        (Some(found), _) => Ok(Some(found)),
        (None, None) => Ok(None),
        (None, Some(name)) => Err(format!(
            "profile {name}: no aws_access_key_id and aws_secret_access_key in {}; roles and SSO \
             of a profile are not followed",
            file.map_or_else(|| "~/.aws/credentials".into(), |file| file.display().to_string())
        )),
    }
}

fn keys(text: &str, profile: &str) -> Option<Credentials> {
    let header = format!("[{profile}]");
    let section = text.lines().map(str::trim).skip_while(|line| *line != header).skip(1);
    let pairs: Vec<(&str, &str)> = section
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with(['#', ';']))
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key.trim(), value.trim()))
        .collect();
    let field = |name: &str| {
        let pair = pairs.iter().find(|(key, value)| *key == name && !value.is_empty());
        pair.map(|(_, value)| *value)
    };
    Some(Credentials::new(
        field("aws_access_key_id")?,
        field("aws_secret_access_key")?,
        field("aws_session_token"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
[default]
region = eu-west-1

[work]
# for the cluster
aws_access_key_id = AKID
aws_secret_access_key=a=b

[other]
aws_access_key_id = X
";

    #[test]
    fn a_profile_is_its_own_section_only() {
        assert_eq!(keys(FILE, "work"), Some(Credentials::new("AKID", "a=b", None)));
        for absent in ["default", "other", "none"] {
            assert_eq!(keys(FILE, absent), None, "{absent}");
        }
    }
}
