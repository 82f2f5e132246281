//! `--scaled-object`: one that is built in, by name, or a file.

use tidegate_autoscale::scaled_object::ScaledObject;

use crate::exit::bad_input;

const LOCAL_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-local.yaml");
const DEMO_SCALED_OBJECT: &str = include_str!("../../../../config/scaled-object-demo.yaml");

/// A ScaledObject by name or file.
pub(super) fn read(named: &str) -> anyhow::Result<ScaledObject> {
    let (name, text) = text(named)?;
    ScaledObject::from_yaml(&text, &name).map_err(|error| bad_input(error.to_string()))
}

/// The name and text of a ScaledObject by name or file.
pub(super) fn text(named: &str) -> anyhow::Result<(String, String)> {
    Ok(match named {
        "local" => ("scaled-object-local.yaml".to_owned(), LOCAL_SCALED_OBJECT.to_owned()),
        "demo" => ("scaled-object-demo.yaml".to_owned(), DEMO_SCALED_OBJECT.to_owned()),
        file => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| bad_input(format!("--scaled-object {file}: {error}")))?;
            (file.to_owned(), text)
        }
    })
}
