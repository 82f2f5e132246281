//! From what was typed to [`Cli`], or to the one line that says what is wrong with it.
//!
//! A value that begins with a minus is a value, so that its own check answers, with the
//! allowed range; clap would take it for an unknown flag. Usage and tips, which clap adds
//! on further lines, are what `--help` is for.

use clap::error::ErrorKind;
use clap::{Arg, ArgAction, Command, CommandFactory as _, FromArgMatches as _};

use super::Cli;
use crate::exit::bad_input;

/// What the process was given.
///
/// # Errors
/// Bad input, one line. Help and version are printed, and end the process.
pub(crate) fn parse() -> anyhow::Result<Cli> {
    let parsed = with_negative_values(Cli::command())
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => bad_input(one_line(&error.render().to_string())),
    })
}

fn with_negative_values(command: Command) -> Command {
    let takes_a_value = |arg: &Arg| {
        matches!(arg.get_action(), ArgAction::Set | ArgAction::Append) && !arg.is_last_set()
    };
    command
        .mut_args(|arg| if takes_a_value(&arg) { arg.allow_negative_numbers(true) } else { arg })
        .mut_subcommands(with_negative_values)
}

/// Everything before usage and tips, on one line.
fn one_line(text: &str) -> String {
    let is_talk = |line: &str| {
        ["Usage:", "For more information", "tip:"].iter().any(|word| line.starts_with(word))
    };
    let words: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !is_talk(line))
        .filter(|l| !l.is_empty())
        .collect();
    let line = words.join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    let tip = text.lines().map(str::trim).find(|line| line.starts_with("tip: a similar"));
    match tip.and_then(|tip| tip.strip_prefix("tip: ")) {
        Some(tip) => format!("{line}: {tip}"),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> String {
        let words = std::iter::once(&"tidegate").chain(words);
        let error =
            with_negative_values(Cli::command()).try_get_matches_from(words).expect_err("refused");
        one_line(&error.render().to_string())
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        assert_eq!(
            said(&["simulate"]),
            "the following required arguments were not provided: --scenario <FILE>"
        );
        assert_eq!(
            said(&["simulate", "--scenario", "x", "--law", "pid"]),
            "invalid value 'pid' for '--law <LAW>' [possible values: stock, slo]"
        );
        assert_eq!(
            said(&["simulate", "--scenari", "x"]),
            "unexpected argument '--scenari' found: a similar argument exists: '--scenario'"
        );
        assert_eq!(
            said(&["plan", "--scenario", "x", "--slo", "1", "--max-pods", "-3"]),
            "invalid value '-3' for '--max-pods <COUNT>': -3 is not in 1..=10000"
        );
        for words in [&["simulat"][..], &["up", "--rate", "1"], &["audit"], &["up", "-x"]] {
            assert!(!said(words).contains('\n'), "{words:?}");
        }
    }

    #[test]
    fn a_minus_begins_a_value() {
        let matches = with_negative_values(Cli::command()).try_get_matches_from([
            "tidegate",
            "plan",
            "--scenario",
            "x",
            "--slo",
            "-1",
        ]);
        assert!(matches.is_ok(), "its own check answers: {matches:?}");
    }
}
