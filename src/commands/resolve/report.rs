//! Purpose: the decision for people: what was asked, what was answered, which rule decided, what to do next.

use super::Plan;
use crate::domain::markdown::{Markdown, code, escaped};

/// What happens next, as one sentence without a full stop.
pub(super) fn next_step(plan: &Plan) -> String {
    let resolution = &plan.resolution;
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

/// The section of the job summary.
pub(super) fn section(plan: &Plan) -> String {
    let resolution = &plan.resolution;
    let (place, of) = plan.rule;
    let mut decision = vec![
        vec!["Strategy".to_owned(), code(&resolution.strategy)],
        vec!["Rule".to_owned(), escaped(&format!("{place} of {of}, {}", plan.ladder))],
        vec!["Image".to_owned(), resolution.image.as_deref().map_or_else(|| "none".to_owned(), code)],
        vec!["Needs a build".to_owned(), resolution.needs_build.to_string()],
    ];
    if let Some(branch) = &resolution.branch {
        decision.push(vec!["Branch".to_owned(), code(branch)]);
    }
    decision.push(vec!["Next".to_owned(), escaped(&next_step(plan))]);
    let mut markdown =
        Markdown::new().heading(3, &format!("Image resolved: {}", resolution.strategy)).table(&["", ""], decision);
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
