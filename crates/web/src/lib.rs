//! A run as one HTML file, or as a page that follows it: charts, decisions, figures.
//!
//! Contract: a [`Report`] goes in, a page comes out, and nothing else happens; only
//! [`Live`] serves one. The page asks the network for nothing (a live one only for its
//! own data), needs no build step and follows the reader's light or dark setting.
//! Simulated, replayed and real runs look the same, because all are a series of
//! [`Second`]s.
//!
//! Rejected: a chart library (ten times the size of everything else in the page), and
//! pictures drawn here (nothing to point at).
//!
//! # Layout
//! - `chart`: seconds to the few thousand points a screen can show
//! - [`read_csv`]: the series that `--csv` wrote
//! - `page`: the HTML around `report.css` and `report.js`
//! - [`Live`]: a run that goes on, and the routes that serve it
#![deny(missing_docs)]

mod chart;
mod csv;
mod live;
mod page;

pub use csv::{CsvError, read_csv};
pub use live::Live;

use tidegate_autoscale::series::Second;

/// What a page shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Report<'a> {
    /// Heading.
    pub title: String,
    /// One line below it.
    pub subtitle: String,
    /// The run.
    pub seconds: &'a [Second],
    /// The promised age, seconds; drawn as a line.
    pub promise_s: Option<f64>,
    /// Rows of the table of figures: name and value.
    pub figures: Vec<(String, String)>,
}

impl Report<'_> {
    /// The page.
    pub fn html(&self) -> String {
        page::html(self)
    }

    /// Figures from a summary in lines of `name   value`, as commands print it.
    pub fn figures_from(text: &str) -> Vec<(String, String)> {
        let row = |line: &str| {
            let (name, value) = line.split_once("  ")?;
            Some((name.trim().to_owned(), value.trim().to_owned()))
        };
        text.lines().filter_map(row).collect()
    }
}

#[cfg(test)]
mod tests;
