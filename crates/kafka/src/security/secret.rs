//! A secret: where it is read from, never what it is.
//!
//! Contract: `Debug`, `Display` and serialization show the source only. A file is
//! read at each use, so that a rotated secret counts from the next connection on.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;

/// A larger secret is a mistake: a wrong path, most likely. Bytes.
const MAX_BYTES: u64 = 64 << 10;

/// A password, a token or a key's pass phrase.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Secret(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    Value(Arc<str>),
    Env(String),
    File(PathBuf),
}

impl Secret {
    /// A secret that the calling program has at hand. It cannot be serialized.
    pub fn value(value: impl Into<Arc<str>>) -> Self {
        Self(Source::Value(value.into()))
    }

    /// An environment variable of this process.
    pub fn env(name: impl Into<String>) -> Self {
        Self(Source::Env(name.into()))
    }

    /// A file; line breaks at its end and a byte order mark do not belong to the secret.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File(path.into()))
    }

    /// The secret itself.
    ///
    /// # Errors
    /// [`Error::Option`] naming the variable or the file, which is absent, empty,
    /// larger than 64 KiB or not text.
    pub fn read(&self) -> Result<String, Error> {
        let refused = |why: &str| Error::option("secret", self, why);
        let text = match &self.0 {
            Source::Value(value) => value.to_string(),
            Source::Env(name) => {
                std::env::var(name).map_err(|_| refused("the variable is not set, or not text"))?
            }
            Source::File(path) => {
                let size = std::fs::metadata(path).map_err(|error| refused(&error.to_string()))?;
                if size.len() > MAX_BYTES {
                    return Err(refused("a file of at most 65536 bytes"));
                }
                std::fs::read_to_string(path).map_err(|error| refused(&error.to_string()))?
            }
        };
        // What some editors put in front of a text file is no part of it either.
        let text = text.trim_start_matches('\u{feff}').trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return Err(refused("it is empty"));
        }
        Ok(text.to_owned())
    }

    /// Whether it may change while the process runs.
    pub(crate) fn can_change(&self) -> bool {
        matches!(self.0, Source::File(_))
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::Value(_) => f.write_str("***"),
            Source::Env(name) => write!(f, "env:{name}"),
            Source::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

impl From<Secret> for String {
    fn from(secret: Secret) -> Self {
        secret.to_string()
    }
}

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if let Some(name) = text.strip_prefix("env:") {
            Ok(Self::env(name))
        } else if let Some(path) = text.strip_prefix("file:") {
            Ok(Self::file(path))
        } else {
            Err("a secret is never written down: allowed is env:NAME or file:PATH")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_secret() {
        let secret = Secret::value("hunter2");
        let json = serde_json::to_string(&secret).expect("serializes");
        for text in [format!("{secret:?}"), format!("{secret}"), json.clone()] {
            assert!(!text.contains("hunter2"), "{text}");
        }
        let error = serde_json::from_str::<Secret>(&json).expect_err("not readable").to_string();
        assert!(error.contains("env:NAME or file:PATH") && !error.contains("hunter2"), "{error}");
        assert_eq!(secret.read().expect("reads"), "hunter2");
    }

    #[test]
    fn a_file_is_read_at_each_use_and_named_when_it_cannot_be() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("password");
        let secret = Secret::file(&path);
        let error = secret.read().expect_err("absent").to_string();
        assert!(error.contains("password"), "{error}");
        std::fs::write(&path, "one\r\n").expect("writes");
        assert_eq!(secret.read().expect("reads"), "one");
        std::fs::write(&path, "two words \n").expect("writes");
        assert_eq!(secret.read().expect("reads"), "two words ");
        std::fs::write(&path, "\n").expect("writes");
        assert!(secret.read().expect_err("empty").to_string().contains("empty"));
        let again: Secret = serde_json::from_str(&serde_json::to_string(&secret).expect("writes"))
            .expect("a file's name can be written down");
        assert_eq!(again, secret);
    }
}
