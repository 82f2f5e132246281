//! `tidegate get`: a look at the running world.

use tidegate_local::get::{hpa_table, pods_table, running_world};

use crate::args::{GetArgs, GetWhat};
use crate::exit::Outcome;

pub(super) fn run(args: &GetArgs) -> anyhow::Result<Outcome> {
    let (_, world) = running_world(args.run_dir.as_deref())?;
    let text = match (args.what, args.json) {
        (GetWhat::Hpa, false) => hpa_table(&world),
        (GetWhat::Pods, false) => pods_table(&world),
        (GetWhat::Hpa, true) => serde_json::to_string_pretty(&world.hpa)? + "\n",
        (GetWhat::Pods, true) => serde_json::to_string_pretty(&world.pods)? + "\n",
    };
    anstream::print!("{text}");
    Ok(Outcome::Done)
}
