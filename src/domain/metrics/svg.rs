//! Purpose: the median duration by day as an SVG file: for a README, a wiki, a dashboard.

use std::fmt::Write as _;

use super::chart::minutes;
use super::figures::Day;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 48.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 36.0;
const BOTTOM: f64 = 32.0;

/// The chart: a line of medians in minutes over bars of failed runs. Days without a successful run break nothing, the
/// line goes on to the next. Readable on light and dark ground.
#[must_use]
pub fn durations_svg(title: &str, days: &[Day]) -> String {
    let frame = Frame {
        highest: days.iter().filter_map(|day| day.p50).map(minutes).fold(1.0, f64::max),
        most_failed: days.iter().map(|day| day.failure).max().unwrap_or(0).max(1) as f64,
        step: if days.len() > 1 { (WIDTH - LEFT - RIGHT) / (days.len() - 1) as f64 } else { 0.0 },
    };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"11\" fill=\"#8b949e\">\n<title>{0}</title>\n\
         <text x=\"{LEFT}\" y=\"20\" font-size=\"14\">{0}</text>\n",
        text(title)
    );
    frame.axes(&mut svg, days);
    frame.failures(&mut svg, days);
    frame.durations(&mut svg, days);
    svg.push_str("</svg>\n");
    svg
}

/// Where values are in the picture.
struct Frame {
    /// Minutes at the top.
    highest: f64,
    /// Most failed runs of a day.
    most_failed: f64,
    /// Width of a day.
    step: f64,
}

impl Frame {
    fn x(&self, index: usize) -> f64 {
        LEFT + self.step * index as f64
    }

    /// The height of a share of the picture, measured from its lower edge.
    fn y(share: f64) -> f64 {
        HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)
    }

    fn axes(&self, svg: &mut String, days: &[Day]) {
        for share in [0.0, 0.5, 1.0] {
            let (at, right) = (Self::y(share), WIDTH - RIGHT);
            let _ = writeln!(
                svg,
                "<line x1=\"{LEFT}\" y1=\"{at:.1}\" x2=\"{right}\" y2=\"{at:.1}\" stroke=\"#8b949e\" stroke-opacity=\"0.3\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} min</text>",
                LEFT - 6.0,
                at + 4.0,
                self.highest * share
            );
        }
        for (index, anchor) in [(0, "start"), (days.len().saturating_sub(1), "end")] {
            if let Some(day) = days.get(index) {
                let (x, y, date) = (self.x(index), HEIGHT - 10.0, text(&day.date));
                let _ = writeln!(svg, "<text x=\"{x:.1}\" y=\"{y}\" text-anchor=\"{anchor}\">{date}</text>");
            }
        }
    }

    /// Failed runs take the lower quarter, so that they do not hide the line.
    fn failures(&self, svg: &mut String, days: &[Day]) {
        for (index, day) in days.iter().enumerate().filter(|(_, day)| day.failure > 0) {
            let top = Self::y(day.failure as f64 / self.most_failed / 4.0);
            let (x, height, date) = (self.x(index) - 2.0, HEIGHT - BOTTOM - top, text(&day.date));
            let _ = writeln!(
                svg,
                "<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"4\" height=\"{height:.1}\" fill=\"#cf222e\" \
                 fill-opacity=\"0.6\"><title>{date}: {} failed</title></rect>",
                day.failure
            );
        }
    }

    fn durations(&self, svg: &mut String, days: &[Day]) {
        let found = days.iter().enumerate().filter_map(|(index, day)| Some((index, day, minutes(day.p50?))));
        let points: Vec<(f64, f64, &Day, f64)> =
            found.map(|(index, day, minutes)| (self.x(index), Self::y(minutes / self.highest), day, minutes)).collect();
        let line: Vec<String> = points.iter().map(|(x, y, ..)| format!("{x:.1},{y:.1}")).collect();
        let line = line.join(" ");
        let _ = writeln!(svg, "<polyline points=\"{line}\" fill=\"none\" stroke=\"#2f81f7\" stroke-width=\"2\"/>");
        for (x, y, day, minutes) in points {
            let date = text(&day.date);
            let _ = writeln!(
                svg,
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"#2f81f7\"><title>{date}: {minutes:.1} min</title></circle>"
            );
        }
    }
}

fn text(value: &str) -> String {
    let kept = value.chars().filter(|c| !c.is_control()).collect::<String>();
    kept.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
