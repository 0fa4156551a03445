//! Purpose: the decision for people: what was asked, what was answered, which rule decided, what to do next.

use super::dispatch::Start;
use super::{Outputs, Plan};
use crate::domain::markdown::{Markdown, code, escaped};

/// What happens next, as one sentence without a full stop.
pub(super) fn next_step(plan: &Plan) -> String {
    let resolution = &plan.resolution;
    if let Some(start) = &plan.start {
        return format!("start the {}, wait for its run, require {}", start.what(), start.image);
    }
    match (&resolution.image, resolution.needs_build) {
        (Some(image), true) => {
            let from = plan.companion.as_deref().unwrap_or("the source");
            let branch = resolution.branch.as_ref().map(|branch| format!(" at '{branch}'")).unwrap_or_default();
            format!("build {from}{branch} and push it as {image}")
        }
        (Some(image), false) => format!("use {image}"),
        (None, true) => "build; the rule names no image".to_owned(),
        (None, false) => "nothing; the rule names no image".to_owned(),
    }
}

/// Which rule decided.
pub(super) fn place(plan: &Plan) -> String {
    match plan.rule {
        (0, _) => "an image was given".to_owned(),
        (place, of) => format!("rule {place} of {of}, {}", plan.ladder),
    }
}

/// The section of the job summary.
pub(super) fn section(plan: &Plan) -> String {
    let resolution = &plan.resolution;
    let mut decision = vec![
        vec!["Strategy".to_owned(), code(&resolution.strategy)],
        vec!["Rule".to_owned(), escaped(place(plan).trim_start_matches("rule "))],
        vec!["Image".to_owned(), resolution.image.as_deref().map_or_else(|| "none".to_owned(), code)],
        vec!["Needs a build".to_owned(), resolution.needs_build.to_string()],
    ];
    if let Some(branch) = &resolution.branch {
        decision.push(vec!["Branch".to_owned(), code(branch)]);
    }
    decision.push(vec!["Next".to_owned(), escaped(&next_step(plan))]);
    let mut markdown = Markdown::new().heading(3, &format!("Image resolved: {}", resolution.strategy)).facts(decision);
    if !plan.subject.is_empty() {
        let parts = plan.subject.iter().map(|(name, value)| format!("{name} {}", code(value)));
        markdown = markdown.raw(&format!("Under test: {}", parts.collect::<Vec<_>>().join(", ")));
    }
    if plan.evidence.is_empty() {
        return markdown.paragraph("Nothing had to be asked.").into_string();
    }
    let rows = plan.evidence.iter().map(|evidence| vec![escaped(&evidence.question), escaped(&evidence.answer)]);
    markdown.table(&["Asked", "Answered"], rows).into_string()
}

/// The section about the build elsewhere.
pub(super) fn built(start: &Start, outputs: &Outputs, is_well: bool) -> String {
    let mut rows = vec![vec!["Started".to_owned(), escaped(&start.what())]];
    if let Some(url) = &outputs.run_url {
        rows.push(vec!["Run".to_owned(), escaped(url)]);
    }
    let digest = outputs.digest.as_deref().filter(|_| is_well);
    rows.push(vec!["Image".to_owned(), digest.map_or_else(|| "not built".to_owned(), code)]);
    let title = if is_well { "Built by the companion" } else { "Not built by the companion" };
    Markdown::new().heading(3, title).facts(rows).into_string()
}
