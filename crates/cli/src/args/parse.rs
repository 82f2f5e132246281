//! From what was typed to [`Cli`], or to the one line that says what is wrong with it.
//!
//! A value that begins with a minus is a value, so that its own check answers, with the
//! allowed range; clap would take it for an unknown flag. Usage and tips, which clap adds
//! on further lines, are what `--help` is for. A variable that is set to nothing is as one that
//! is not set: a manifest cannot leave out what a chart has put there. A password in a URL
//! is taken from the environment and from a file, not from where `ps` shows it.

use std::ffi::OsStr;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use tidegate_postgres::PostgresUrl;

use super::Cli;
use crate::exit::bad_input;

/// Id of each command's `--database`.
const DATABASE: &str = "database";

/// What the process was given.
///
/// # Errors
/// Bad input, one line. Help and version are printed, and end the process.
pub(crate) fn parse() -> anyhow::Result<Cli> {
    let is_empty = |name: &OsStr| std::env::var_os(name).is_some_and(|value| value.is_empty());
    let command = with_negative_values(Cli::command());
    let matches = without_variables(command, &is_empty).try_get_matches();
    let matches = matches.map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // Help names every variable.
            with_negative_values(Cli::command()).get_matches();
            error.exit()
        }
        _ => refused(&error),
    })?;
    refuse_password(&matches)?;
    Cli::from_arg_matches(&matches).map_err(|error| refused(&error))
}

fn refused(error: &clap::Error) -> anyhow::Error {
    bad_input(one_line(&error.render().to_string()))
}

/// Options without the variables that are to be left out.
fn without_variables(command: Command, is_left_out: &impl Fn(&OsStr) -> bool) -> Command {
    command
        .mut_args(|arg| match arg.get_env() {
            Some(name) if is_left_out(name) => arg.env(None::<&'static str>),
            _ => arg,
        })
        .mut_subcommands(|command| without_variables(command, is_left_out))
}

/// Every user of the machine can read a command line.
fn refuse_password(matches: &ArgMatches) -> anyhow::Result<()> {
    let url = matches.try_get_one::<String>(DATABASE).ok().flatten();
    let is_typed = || matches.value_source(DATABASE) == Some(ValueSource::CommandLine);
    let has_password =
        |url: &String| url.parse::<PostgresUrl>().is_ok_and(|url| url.has_password());
    if url.is_some_and(|url| is_typed() && has_password(url)) {
        return Err(bad_input(
            "--database: a password on the command line can be read by every user of the machine: \
             give it by --database-password-file or PGPASSWORD, or the whole URL by TIDEGATE_DATABASE",
        ));
    }
    matches.subcommand().map_or(Ok(()), |(_, matches)| refuse_password(matches))
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
    fn a_variable_that_is_left_out_belongs_to_no_option() {
        fn with_variable(command: &Command) -> usize {
            command.get_arguments().filter(|arg| arg.get_env().is_some()).count()
                + command.get_subcommands().map(with_variable).sum::<usize>()
        }
        assert!(with_variable(&Cli::command()) > 100);
        assert_eq!(with_variable(&without_variables(Cli::command(), &|_| true)), 0);
        let one = without_variables(Cli::command(), &|name| name == "KAFKA_TOPIC");
        assert!(with_variable(&one) > 100);
    }

    /// Whatever has a `--database`.
    #[test]
    fn a_password_in_a_typed_url_is_refused_by_every_command() {
        fn with_database(command: &Command) -> usize {
            let has_one = command.get_arguments().any(|arg| arg.get_long() == Some(DATABASE));
            usize::from(has_one) + command.get_subcommands().map(with_database).sum::<usize>()
        }
        let commands = [
            &["consume"][..],
            &["up"],
            &["profile"],
            &["audit", "--ledger", "x"],
            &["table", "create"],
            &["table", "check"],
            &["dead-letters", "list"],
            &["dead-letters", "show", "1"],
            &["dead-letters", "replay"],
        ];
        assert_eq!(with_database(&Cli::command()), commands.len());
        for command in commands {
            let told = |url: &str| {
                let words = [&["tidegate"], command, &["--database", url]].concat();
                let matches = Cli::command().try_get_matches_from(words).expect("well-formed");
                refuse_password(&matches).map_err(|error| error.to_string())
            };
            for url in ["postgres://me:s3cret@db/x", "postgresql://me@db/x?password=s3cret"] {
                let why = told(url).expect_err(url);
                for way in ["--database-password-file", "PGPASSWORD", "TIDEGATE_DATABASE"] {
                    assert!(why.contains(way), "{why}");
                }
                assert!(!why.contains("s3cret"), "{why}");
            }
            for url in ["postgres://me@db/x", "postgres://me:@db/x", "sqlite:a:b@c", "none"] {
                assert_eq!(told(url), Ok(()), "{command:?}");
            }
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
