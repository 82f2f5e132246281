//! One file a command; beside it, in a folder of its name, what a long one is made of. Each
//! resolves its configuration, builds the parts and runs them; the parts do the work.

mod audit;
mod check;
mod consume;
mod dashboard;
mod dead_letters;
mod explain;
mod generate;
mod get;
mod outputs;
mod parts;
mod plan;
mod produce;
mod profile;
mod report;
mod scaled_object;
mod scaler;
mod security;
mod simulate;
mod table;
mod timing;
mod tune;
mod up;

use crate::args::{Cli, Command};
use crate::exit::Outcome;

/// Runs the command that was typed.
pub(crate) fn dispatch(cli: Cli) -> anyhow::Result<Outcome> {
    match cli.command {
        Command::Up(args) => up::run(&args),
        Command::Consume(args) => consume::run(&args),
        Command::Produce(args) => produce::run(&args),
        Command::Audit(args) => audit::run(&args),
        Command::Table(args) => table::run(&args),
        Command::DeadLetters(args) => dead_letters::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Explain(args) => explain::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Tune(args) => tune::run(&args),
        Command::Plan(args) => plan::run(&args),
        Command::Profile(args) => profile::run(&args),
        Command::Scaler(args) => scaler::run(&args),
        Command::Get(args) => get::run(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::ExecGuarded(args) => {
            Err(tidegate_local::process::exec_guarded(args.parent, &args.command).into())
        }
    }
}
