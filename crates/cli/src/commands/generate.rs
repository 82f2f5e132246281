//! `completions` and `man`: generated from the flags, so nothing can be undocumented.

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs, ManArgs};
use crate::exit::{Outcome, bad_input};

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<Outcome> {
    let mut command = Cli::command();
    clap_complete::generate(args.shell, &mut command, "tidegate", &mut std::io::stdout());
    Ok(Outcome::Done)
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<Outcome> {
    let directory = &args.output;
    std::fs::create_dir_all(directory)
        .map_err(|error| bad_input(format!("--output {}: {error}", directory.display())))?;
    clap_mangen::generate_to(Cli::command(), directory)
        .map_err(|error| bad_input(format!("--output {}: {error}", directory.display())))?;
    Ok(Outcome::Done)
}
