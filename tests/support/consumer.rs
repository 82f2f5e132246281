//! `tidegate consume` as the tests of its database run it.

use std::process::Command;

use super::support::tidegate;

/// Of a topic `t` as the group `g`.
pub(crate) fn consume(bootstrap: &str, database: &str, more: &[&str]) -> Command {
    let mut command = tidegate();
    command
        .args(["consume", "--brokers", bootstrap, "--topic", "t", "--group", "g"])
        .args(["--metrics-addr", "off", "--database", database])
        .args(more);
    command
}
