//! A run as a picture: rates, age and pods over time, as a self-contained SVG.
//!
//! Rejected: a plotting crate; three panels of polylines are a screen of code,
//! and the text stays text.

use std::fmt::Write as _;

const WIDTH: f64 = 900.0;
const PANEL_HEIGHT: f64 = 130.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 24.0;
const TOP: f64 = 30.0;
const GAP: f64 = 48.0;

/// One line of a panel: a name, a colour, and a value a second.
pub(crate) struct Line<'a> {
    pub(crate) name: &'a str,
    pub(crate) color: &'a str,
    pub(crate) values: &'a [f64],
}

/// A title and its lines, on one axis from zero.
pub(crate) struct Panel<'a> {
    pub(crate) title: &'a str,
    pub(crate) lines: Vec<Line<'a>>,
}

/// Draws the panels below each other on one time axis, in seconds.
pub(crate) fn svg(panels: &[Panel<'_>]) -> String {
    let seconds = panels
        .iter()
        .flat_map(|panel| panel.lines.iter().map(|line| line.values.len()))
        .max()
        .unwrap_or(1)
        .max(2);
    let height = TOP + panels.len() as f64 * (PANEL_HEIGHT + GAP) + 6.0;
    let mut out = String::new();
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>"
    );
    for (index, panel) in panels.iter().enumerate() {
        draw_panel(&mut out, panel, TOP + index as f64 * (PANEL_HEIGHT + GAP), seconds);
    }
    out.push_str("</svg>\n");
    out
}

fn draw_panel(out: &mut String, panel: &Panel<'_>, top: f64, seconds: usize) {
    let peak = panel.lines.iter().flat_map(|line| line.values).copied().fold(0.0, f64::max);
    let limit = round_up(peak);
    let width = WIDTH - LEFT - RIGHT;
    let x = |second: f64| LEFT + second / (seconds - 1) as f64 * width;
    let y = |value: f64| top + PANEL_HEIGHT * (1.0 - value / limit);

    let _ = write!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" font-weight=\"600\">{}</text>",
        top - 9.0,
        panel.title
    );
    for step in 0..=4 {
        let value = limit * f64::from(step) / 4.0;
        let _ = write!(
            out,
            "<line x1=\"{LEFT}\" x2=\"{0}\" y1=\"{1:.1}\" y2=\"{1:.1}\" stroke=\"#e5e7eb\"/>\
             <text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\" fill=\"#6b7280\">{4}</text>",
            WIDTH - RIGHT,
            y(value),
            LEFT - 8.0,
            y(value) + 4.0,
            short(value)
        );
    }
    for second in (0..seconds).step_by(label_step(seconds)) {
        let _ = write!(
            out,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#6b7280\">{second} s</text>",
            x(second as f64),
            top + PANEL_HEIGHT + 15.0
        );
    }
    for (index, line) in panel.lines.iter().enumerate() {
        let points: String =
            corners(line.values).fold(String::new(), |mut points, (second, value)| {
                let _ = write!(points, "{:.1},{:.1} ", x(second as f64), y(value));
                points
            });
        let _ = write!(
            out,
            "<polyline points=\"{points}\" fill=\"none\" stroke=\"{0}\" stroke-width=\"1.6\"/>\
             <text x=\"{1}\" y=\"{2}\" text-anchor=\"end\" fill=\"{0}\">{3}</text>",
            line.color,
            WIDTH - RIGHT - 110.0 * index as f64,
            top - 9.0,
            line.name
        );
    }
}

/// Seconds between two labels, so that they do not touch.
fn label_step(seconds: usize) -> usize {
    const MOST: usize = 12;
    [30, 60, 120, 300, 600, 1800].into_iter().find(|step| seconds / step < MOST).unwrap_or(7200)
}

/// The values without those that lie on a level line between two others.
fn corners(values: &[f64]) -> impl Iterator<Item = (usize, f64)> {
    values.iter().copied().enumerate().filter(|(second, value)| {
        let same = |other: Option<&f64>| other.is_some_and(|other| other == value);
        !(same(second.checked_sub(1).and_then(|at| values.get(at))) && same(values.get(second + 1)))
    })
}

/// The next of 1, 2, 5 × 10ⁿ at or above the value.
fn round_up(value: f64) -> f64 {
    let magnitude = 10f64.powf(value.max(1.0).log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|limit| *limit >= value)
        .unwrap_or(10.0 * magnitude)
}

fn short(value: f64) -> String {
    if value >= 1000.0 { format!("{}k", value / 1000.0) } else { format!("{value}") }
}

#[cfg(test)]
mod tests {
    use super::{corners, label_step, round_up};

    #[test]
    fn labels_do_not_touch_and_level_lines_have_two_ends() {
        assert_eq!([60, 240, 1320, 3480].map(label_step), [30, 30, 120, 300]);
        let kept: Vec<usize> = corners(&[1.0, 1.0, 1.0, 2.0, 2.0]).map(|(at, _)| at).collect();
        assert_eq!(kept, [0, 2, 3, 4]);
    }

    #[test]
    fn axes_end_at_round_numbers() {
        assert_eq!(
            [0.0, 3.0, 12.0, 4990.0, 5000.0, 5001.0].map(round_up),
            [1.0, 5.0, 20.0, 5000.0, 5000.0, 10000.0]
        );
    }
}
