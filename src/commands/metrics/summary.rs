//! Purpose: the report for people: in the log a few lines, in the summary tables and charts.

use super::sign;
use crate::commands::run::Run;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::metrics::{Breach, Change, Comparison, Figures, Report, StepFigures, duration_chart, image_chart};

/// Workflows that the first table shows; the rest is in the file.
const MOST_WORKFLOWS: usize = 25;

/// The section of the summary.
pub(super) fn section(report: &Report, comparison: Option<&Comparison>, run: &Run) -> String {
    let mut section = Markdown::new().heading(3, &format!("CI of {}", report.repository));
    if let Some(comparison) = comparison {
        section = compared(section, comparison);
    }
    section = verdicts(section, report);
    section = section.table(
        &["Workflow", "Runs", "Failed", "Failure rate", "Mean", "Median", "95 %", "Queue", "Trend", "Re-run"],
        report.workflows.iter().take(MOST_WORKFLOWS).map(|workflow| row(&workflow.name, &workflow.figures)),
    );
    if let Some(chart) = duration_chart(&report.total.days) {
        section = section.mermaid(&chart);
    }
    section = section.facts(further(report));
    section = images(section, report);
    if !report.notes.is_empty() {
        section = section.bullets(report.notes.iter().map(|note| escaped(note)));
    }
    let since = format!(
        "{} runs since {}. Durations are those of successful runs; cancelled and skipped runs do not count as failed.",
        report.total.runs,
        report.since.day()
    );
    let link = run.github.run_url().map(|url| crate::domain::markdown::link("This run", &url));
    section.paragraph(&since).raw(&link.unwrap_or_default()).into_string()
}

fn verdicts(section: Markdown, report: &Report) -> Markdown {
    if report.breaches.is_empty() {
        return section.raw("✅ Every figure is within its limit.");
    }
    section.bullets(report.breaches.iter().map(|breach| format!("❌ {}", escaped(&breach_line(breach)))))
}

fn row(name: &str, figures: &Figures) -> Vec<String> {
    let duration = |of: fn(&crate::domain::metrics::Spread) -> f64| figures.duration.as_ref().map(of).map(time);
    let dash = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    vec![
        escaped(name),
        figures.runs.to_string(),
        figures.failure.to_string(),
        dash(figures.failure_rate.map(percent)),
        dash(duration(|d| d.mean)),
        dash(duration(|d| d.p50 as f64)),
        dash(duration(|d| d.p95 as f64)),
        dash(figures.queue.map(|queue| time(queue.mean))),
        dash(figures.trend.map(|trend| format!("{trend:+.0} %"))),
        figures.rerun.to_string(),
    ]
}

/// Figures that belong to no workflow.
fn further(report: &Report) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    let total = &report.total;
    rows.push(vec!["Cancelled, skipped".to_owned(), format!("{}, {}", total.cancelled, total.skipped)]);
    if let Some(attempts) = total.attempts {
        rows.push(vec!["Attempts per run".to_owned(), format!("{attempts:.2}")]);
    }
    if let Some(execution) = total.execution {
        rows.push(vec!["Execution, mean".to_owned(), time(execution.mean)]);
    }
    if let Some(per_commit) = report.builds.per_commit {
        let worst = report.builds.worst_commit.as_deref().map(|commit| {
            let most = report.builds.most_redundant + 1;
            format!("; most: {most} of {}", code(commit.get(..7).unwrap_or(commit)))
        });
        let text = format!("{per_commit:.2}, {} redundant{}", report.builds.redundant, worst.unwrap_or_default());
        rows.push(vec!["Builds per commit".to_owned(), text]);
    }
    for (name, figures) in [("Image pulls", report.pull), ("Clean-ups", report.cleanup)] {
        rows.extend(succeeded(figures).map(|text| vec![name.to_owned(), text]));
    }
    rows
}

fn succeeded(figures: StepFigures) -> Option<String> {
    let rate = figures.success_rate?;
    Some(format!("{} succeeded ({} of {})", percent(rate), figures.success, figures.success + figures.failure))
}

fn images(section: Markdown, report: &Report) -> Markdown {
    let Some(chart) = image_chart(&report.images) else {
        return section;
    };
    let rows = report.images.iter().flat_map(|images| {
        let measured = images.total > images.unmeasured;
        images.classes.iter().map(move |(name, class)| {
            let size = if measured { bytes(class.bytes as f64) } else { "–".to_owned() };
            vec![code(&images.image), escaped(name), class.images.to_string(), size]
        })
    });
    section.table(&["Image", "Class", "Images", "Size"], rows).mermaid(&chart)
}

fn compared(section: Markdown, comparison: &Comparison) -> Markdown {
    let cells = |name: String, change: &Change| {
        vec![
            name,
            amount(change.before, change.unit),
            amount(change.after, change.unit),
            moved(change),
            sign(change.verdict).to_owned(),
        ]
    };
    let workflows = comparison.workflows.iter().map(|(name, change)| cells(escaped(name), change));
    section
        .heading(4, "Before and after")
        .table(
            &["Metric", "Before", "After", "Change", ""],
            comparison.changes.iter().map(|change| cells(change.metric.to_owned(), change)),
        )
        .details(
            "Mean duration by workflow",
            &Markdown::new().table(&["Workflow", "Before", "After", "Change", ""], workflows),
        )
        .heading(4, "Now")
}

/// The change as people say it: rates in points, everything else in percent.
fn moved(change: &Change) -> String {
    match (change.change, change.unit) {
        (None, _) => "–".to_owned(),
        (Some(points), "percent") => format!("{points:+.1} points"),
        (Some(percent), _) => format!("{percent:+.0} %"),
    }
}

fn amount(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(
        || "–".to_owned(),
        |value| match unit {
            "seconds" => time(value),
            "percent" => percent(value),
            "bytes" => bytes(value),
            "images" => format!("{value:.0}"),
            _ => format!("{value:.2}"),
        },
    )
}

/// A breach as one line: what, how much, the limit.
pub(super) fn breach_line(breach: &Breach) -> String {
    let name = |unit: &str, value: f64| match unit {
        "builds" => format!("{value:.0} redundant builds"),
        unit => amount(Some(value), unit),
    };
    let (value, limit) = (name(&breach.unit, breach.value), amount(Some(breach.limit), &breach.unit));
    let what = match breach.threshold.as_str() {
        "max_build_time" => "takes",
        "max_failure_rate" => "fails in",
        "max_storage" => "take",
        "max_redundant_builds" => "has",
        _ => "succeed in",
    };
    format!("{} {what} {value}; the limit {} is {limit}", breach.subject, breach.threshold)
}

/// A regression as one line.
pub(super) fn regression_line(change: &Change) -> String {
    let (before, after) = (amount(change.before, change.unit), amount(change.after, change.unit));
    format!("{} went from {before} to {after} ({})", change.metric, moved(change))
}

/// A few lines for the log.
pub(super) fn log(report: &Report, comparison: Option<&Comparison>, run: &Run) {
    let group = run.log.group("Figures");
    for workflow in &report.workflows {
        let figures = &workflow.figures;
        let mean = figures.duration.map_or_else(|| "–".to_owned(), |duration| time(duration.mean));
        let rate = figures.failure_rate.map_or_else(|| "–".to_owned(), percent);
        run.log.info(format!("{}: {} runs, mean {mean}, {rate} failed", workflow.name, figures.runs));
    }
    for images in &report.images {
        run.log.info(format!("{}: {} images, {}", images.image, images.total, bytes(images.bytes as f64)));
    }
    report.notes.iter().for_each(|note| run.log.info(note));
    for change in comparison.into_iter().flat_map(|comparison| &comparison.changes) {
        run.log.info(regression_line(change));
    }
    drop(group);
}

/// `14 m 05 s`; below a minute seconds alone.
fn time(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} m {s:02} s"),
        (h, m, _) => format!("{h} h {m:02} m"),
    }
}

fn percent(value: f64) -> String {
    format!("{value:.1} %")
}

fn bytes(value: f64) -> String {
    const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
    let mut value = value;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or("B");
    if unit == "B" { format!("{value:.0} B") } else { format!("{value:.1} {unit}") }
}
