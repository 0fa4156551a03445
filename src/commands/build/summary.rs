//! Purpose: what the job summary says of a build.

use std::time::Duration;

use super::Outputs;
use super::plan::Plan;
use crate::domain::build_log::{BuildSummary, StepEnd, StepSummary};
use crate::domain::markdown::{Markdown, code, escaped};

/// Steps that the table of slow ones shows.
const SLOWEST: usize = 5;

/// Steps that the table of all shows; a summary has room for 1 MiB.
const MOST_STEPS: usize = 200;

/// What is known at the end of a build, whether it succeeded or not.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// The builder's steps.
    pub(super) build: BuildSummary,
    /// Tags and how long their push took.
    pub(super) pushed: Vec<(String, Duration)>,
    /// Bytes of each platform in the registry.
    pub(super) sizes: Vec<(String, u64)>,
    /// The last lines of the step that failed.
    pub(super) last_lines: Vec<String>,
}

pub(super) fn section(plan: &Plan, report: &Report, outputs: &Outputs) -> String {
    let title = outputs.image.as_deref().map_or_else(|| "Build".to_owned(), |image| format!("Build of {image}"));
    let mut markdown = Markdown::new().heading(3, &title).facts(facts(plan, report, outputs));
    let slowest = slowest(&report.build);
    if !slowest.is_empty() {
        let rows = slowest.into_iter().map(|(name, took)| vec![code(&name), format!("{:.1} s", took.as_secs_f64())]);
        let table = Markdown::new().table(&["Step", "Time"], rows);
        markdown = markdown.details("Slowest steps", &table);
    }
    let steps = steps(&report.build);
    if !steps.is_empty() {
        markdown = markdown.details("All steps", &Markdown::new().table(&["Step", "Time"], steps));
    }
    if !report.last_lines.is_empty() {
        markdown = markdown.paragraph("The failing step ended with:").code_block("text", &report.last_lines.join("\n"));
    }
    markdown.into_string()
}

fn facts(plan: &Plan, report: &Report, outputs: &Outputs) -> Vec<Vec<String>> {
    let mut rows = vec![vec!["Source".to_owned(), escaped(&plan.origin.to_string())]];
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            rows.push(vec![name.to_owned(), value]);
        }
    };
    for update in &plan.updates {
        row("Updated", Some(escaped(&update.to_string())));
    }
    let present = plan.present.is_some();
    row("Built", present.then(|| "no: the registry has every tag already".to_owned()));
    row("Digest", outputs.digest.as_deref().map(code));
    row("Image id", outputs.image_id.as_deref().map(code));
    let sized = |platform: &String| {
        let size = report.sizes.iter().find(|(of, _)| of == platform || of.starts_with(&format!("{platform}/")));
        size.map_or_else(|| code(platform), |(_, bytes)| format!("{} {} to pull", code(platform), human(*bytes)))
    };
    let platforms: Vec<String> = outputs.platforms.iter().map(sized).collect();
    let name = if platforms.len() > 1 { "Platforms" } else { "Platform" };
    row(name, (!platforms.is_empty()).then(|| platforms.join("\n")));
    row("Size", outputs.size.map(|size| human(size.0)));
    row("Time", outputs.seconds.map(|seconds| format!("{} s", seconds.0)));
    let (cached, counted) = (report.build.cached, report.build.counted);
    row("Cached steps", (counted > 0).then(|| format!("{cached} of {counted}")));
    let pushed: Vec<String> =
        report.pushed.iter().map(|(tag, took)| format!("{} in {:.1} s", code(tag), took.as_secs_f64())).collect();
    row("Pushed", (!pushed.is_empty()).then(|| pushed.join("\n")));
    rows
}

/// Every step in order, with its time, or how it ended otherwise.
fn steps(build: &BuildSummary) -> Vec<Vec<String>> {
    let shown = build.steps.iter().take(MOST_STEPS);
    let row = |step: &StepSummary| {
        let time = match step.end {
            StepEnd::Cached => "cached".to_owned(),
            StepEnd::Ran => format!("{:.1} s", step.took.as_secs_f64()),
            StepEnd::Failed => format!("failed after {:.1} s", step.took.as_secs_f64()),
            StepEnd::GivenUp => "given up".to_owned(),
        };
        vec![code(&step.name), time]
    };
    shown.map(row).collect()
}

fn slowest(build: &BuildSummary) -> Vec<(String, Duration)> {
    let ran = build.steps.iter().filter(|step| step.end != StepEnd::Cached);
    let mut steps: Vec<(String, Duration)> = ran.map(|step| (step.name.clone(), step.took)).collect();
    steps.sort_by_key(|(_, took)| std::cmp::Reverse(*took));
    steps.retain(|(_, took)| *took >= Duration::from_millis(100));
    steps.truncate(SLOWEST);
    steps
}

/// Bytes as people read them, in the decimal units that registries show.
pub(super) fn human(bytes: u64) -> String {
    let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000)];
    for (unit, size) in units {
        if bytes >= size {
            let tenths = bytes.saturating_mul(10) / size;
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}
