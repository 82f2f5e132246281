//! The Java that runs Kafka.

use std::process::{Command, Stdio};

use crate::Error;

/// The oldest Java that Kafka 4 runs on.
const MIN_MAJOR: u32 = 17;

/// Checks that `java` on PATH is new enough.
///
/// # Errors
/// [`Error::MissingTool`] or [`Error::OldJava`].
pub(super) fn check() -> Result<(), Error> {
    let output =
        Command::new("java").arg("-version").stdin(Stdio::null()).output().map_err(|_| {
            Error::MissingTool {
                tool: "java",
                advice: "Kafka needs Java 17 or newer (Debian: openjdk-17-jre-headless)",
            }
        })?;
    // The version goes to stderr, for historical reasons of Java's.
    let text = String::from_utf8_lossy(&output.stderr);
    match major(&text) {
        Some(found) if found < MIN_MAJOR => Err(Error::OldJava { found }),
        _ => Ok(()),
    }
}

/// `openjdk version "17.0.15"` → 17, `java version "1.8.0_392"` → 8.
fn major(text: &str) -> Option<u32> {
    let version = text.split_once("version \"")?.1.split_once('"')?.0;
    let mut numbers = version.split(['.', '_', '-', '+']);
    match numbers.next()?.parse().ok()? {
        1 => numbers.next()?.parse().ok(),
        major => Some(major),
    }
}

#[cfg(test)]
mod tests {
    use super::major;

    #[test]
    fn versions_old_and_new_are_read() {
        assert_eq!(major("openjdk version \"17.0.15\" 2025-04-15\n"), Some(17));
        assert_eq!(major("java version \"1.8.0_392\""), Some(8));
        assert_eq!(major("openjdk version \"25-ea\" 2025-09-16"), Some(25));
        assert_eq!(major("something else"), None);
    }
}
