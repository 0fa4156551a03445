//! Purpose: charts in Mermaid's words, for the summary.

use std::fmt::Write as _;

use super::classes::ImageFigures;
use super::figures::Day;

/// Of lines and bars.
const COLOUR: &str = "#1f6feb";
/// Most points of a chart; more are not readable.
const MOST_POINTS: usize = 31;

/// The median duration by day, in minutes; `None` when fewer than two days have one.
#[must_use]
pub fn duration_chart(days: &[Day]) -> Option<String> {
    let points: Vec<(&str, f64)> = days.iter().filter_map(|day| Some((day.date.as_str(), minutes(day.p50?)))).collect();
    let points = &points[points.len().saturating_sub(MOST_POINTS)..];
    if points.len() < 2 {
        return None;
    }
    // The year stands in the heading; month and day fit under a bar.
    let labels: Vec<String> = points.iter().map(|(date, _)| format!("\"{}\"", date.get(5..).unwrap_or(date))).collect();
    let values: Vec<String> = points.iter().map(|(_, value)| format!("{value:.1}")).collect();
    Some(chart("Median duration by day", "minutes", &labels, &values, "line"))
}

/// Images by class; `None` when there are none.
#[must_use]
pub fn image_chart(images: &[ImageFigures]) -> Option<String> {
    let mut classes: Vec<(&str, u64)> = Vec::new();
    for (name, class) in images.iter().flat_map(|images| &images.classes) {
        match classes.iter_mut().find(|(known, _)| known == name) {
            Some((_, count)) => *count += class.images,
            None => classes.push((name, class.images)),
        }
    }
    if classes.is_empty() {
        return None;
    }
    let labels: Vec<String> = classes.iter().map(|(name, _)| label(name)).collect();
    let values: Vec<String> = classes.iter().map(|(_, count)| count.to_string()).collect();
    Some(chart("Images by class", "images", &labels, &values, "bar"))
}

pub(super) fn minutes(seconds: u64) -> f64 {
    seconds as f64 / 60.0
}

/// Names of classes come from a config: nothing but letters, digits and a few signs gets into the diagram.
fn label(name: &str) -> String {
    let kept: String = name.chars().filter(|c| c.is_alphanumeric() || " -_.".contains(*c)).collect();
    format!("\"{kept}\"")
}

fn chart(title: &str, unit: &str, labels: &[String], values: &[String], kind: &str) -> String {
    // The palette of Mermaid's own theme is all but invisible; this blue is seen on white and on dark pages.
    let mut text = format!(
        "%%{{init: {{\"themeVariables\": {{\"xyChart\": {{\"plotColorPalette\": \"{COLOUR}\"}}}}}}}}%%\nxychart-beta\n"
    );
    let _ = writeln!(text, "  title \"{title}\"");
    let _ = writeln!(text, "  x-axis [{}]", labels.join(", "));
    let _ = writeln!(text, "  y-axis \"{unit}\"");
    let _ = write!(text, "  {kind} [{}]", values.join(", "));
    text
}
