//! One bar for each figure: its share of the goal, on a scale of powers of two.

use std::fmt::Write as _;

use crate::report::Row;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 300.0;
const RIGHT: f64 = 130.0;
const LINE: f64 = 30.0;
const TOP: f64 = 46.0;

/// The scale reaches from this share of the goal …
const SHARE_MIN: f64 = 0.125;
/// … to this one; longer bars are cut.
const SHARE_MAX: f64 = 4.0;

pub(crate) fn svg(rows: &[Row]) -> String {
    let bars: Vec<(&Row, f64)> = rows
        .iter()
        .filter_map(|row| Some((row, row.share()?)))
        .collect();
    let height = TOP + LINE * bars.len() as f64 + 34.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"16\" y=\"24\" font-size=\"15\" fill=\"#1f2328\">Share of the goal: left of the line it is reached</text>\n"
    );
    for share in [0.125, 0.25, 0.5, 1.0, 2.0, 4.0] {
        let x = place(share);
        let (colour, thick) = if share == 1.0 {
            ("#1f2328", 1.5)
        } else {
            ("#d0d7de", 1.0)
        };
        let bottom = height - 26.0;
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "<line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{bottom}\" stroke=\"{colour}\" stroke-width=\"{thick}\"/>\n\
             <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#59636e\">{share}</text>\n",
            bottom + 17.0
        );
    }
    for (at, (row, share)) in bars.iter().enumerate() {
        let y = TOP + LINE * at as f64 + 6.0;
        let end = place(*share);
        let colour = if *share <= 1.0 { "#2da44e" } else { "#bf8700" };
        let _ = write!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"#1f2328\">{}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"18\" rx=\"2\" fill=\"{colour}\"/>\n\
             <text x=\"{:.1}\" y=\"{:.1}\" fill=\"#1f2328\">{}</text>\n",
            LEFT - 10.0,
            y + 14.0,
            escaped(&row.what),
            (end - LEFT).max(2.0),
            WIDTH - RIGHT + 14.0,
            y + 14.0,
            escaped(&row.label())
        );
    }
    text.push_str("</svg>\n");
    text
}

/// Where a share of the goal lies, by its logarithm.
fn place(share: f64) -> f64 {
    let share = share.clamp(SHARE_MIN, SHARE_MAX);
    let scale = (share / SHARE_MIN).log2() / (SHARE_MAX / SHARE_MIN).log2();
    LEFT + scale * (WIDTH - LEFT - RIGHT)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Goal;

    #[test]
    fn the_scale_is_logarithmic_and_bounded() {
        assert_eq!(place(SHARE_MIN), LEFT);
        assert_eq!(place(100.0), WIDTH - RIGHT);
        let step = place(0.5) - place(0.25);
        assert!((place(1.0) - place(0.5) - step).abs() < 1e-9);
    }

    #[test]
    fn figures_with_a_goal_get_a_bar() {
        let rows = [
            Row::absolute("P0", "a < b", 4.0, "ms").goal(Goal::AtMost(8.0)),
            Row::absolute("P0", "no goal", 4.0, "ms"),
        ];
        let text = svg(&rows);
        assert!(text.contains("a &lt; b") && !text.contains("no goal"));
        assert_eq!(text.matches("rx=").count(), 1);
    }
}
