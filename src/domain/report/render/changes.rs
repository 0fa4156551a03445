//! Purpose: a plan as a reviewer wants it: what goes first, then what changes, then what comes.

use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::report::plan::{Action, Change, Counts, Plan, Shown};

use super::{counted, more};

/// Changes that are shown with their attributes.
const IN_FULL: usize = 40;
/// Changes in one section, so that a cut leaves whole ones.
const ROWS: usize = 100;

/// The sections of one plan; `name` tells several apart.
pub(super) fn sections(plan: &Plan, name: Option<&str>, sections: &mut Vec<String>) {
    let of = name.map(|name| format!(" of {name}")).unwrap_or_default();
    if !plan.changes.kept.is_empty() {
        sections.push(Markdown::new().heading(4, &format!("Resources{of}")).raw(table(plan).trim_end()).into_string());
        sections.extend(attributes(plan));
    }
    if !plan.outputs.kept.is_empty() {
        let rows = plan.outputs.kept.iter().map(|output| {
            let value = output.attributes.kept.first();
            let (before, after) = value.map(|value| (shown(&value.before), shown(&value.after))).unwrap_or_default();
            vec![icon(output.action).to_owned(), code(&output.address), before, after]
        });
        let table = Markdown::new().table(&["", "Output", "Before", "After"], rows);
        sections.push(Markdown::new().details(&format!("Outputs{of}"), &table).into_string());
    }
    if !plan.drift.kept.is_empty() {
        let rows =
            plan.drift.kept.iter().take(ROWS).map(|change| vec![icon(change.action).to_owned(), code(&change.address)]);
        let table = Markdown::new().table(&["", "Resource"], rows);
        let left = usize::try_from(plan.drift.count()).unwrap_or(usize::MAX).saturating_sub(ROWS);
        let title = format!("Drift{of}: {} changed outside of Terraform", counted(plan.counts.drifted, "resource"));
        sections.push(Markdown::new().details(&title, &more(table, left, "resources")).into_string());
    }
    if !plan.failed_checks.kept.is_empty() {
        let list = plan.failed_checks.kept.iter().map(|check| format!("❌ {}", code(check)));
        sections.push(Markdown::new().heading(4, &format!("Checks that do not hold{of}")).bullets(list).into_string());
    }
}

/// A table of resources, the dangerous first.
#[must_use]
pub fn table(plan: &Plan) -> String {
    let shown = || plan.changes.kept.iter().take(ROWS);
    let explains = shown().any(|change| !notes(change).is_empty());
    let rows = shown().map(|change| {
        let mut row = vec![format!("{} {}", icon(change.action), change.action.word()), code(&change.address)];
        row.extend(explains.then(|| notes(change)));
        row
    });
    let head: &[&str] = if explains { &["Action", "Resource", "Why"] } else { &["Action", "Resource"] };
    let table = Markdown::new().table(head, rows);
    let total = usize::try_from(plan.changes.count()).unwrap_or(usize::MAX);
    more(table, total.saturating_sub(ROWS), "resources").into_string()
}

/// What changes in each resource; values that are sensitive are not in a plan as it was read.
#[must_use]
pub fn attributes(plan: &Plan) -> Vec<String> {
    let detailed = plan.changes.kept.iter().filter(|change| !change.attributes.kept.is_empty());
    let one = |change: &Change| {
        let rows = change.attributes.kept.iter().map(|attribute| {
            let forces = if attribute.forces_replacement { " ⚠️ forces replacement" } else { "" };
            vec![format!("{}{forces}", code(&attribute.name)), shown(&attribute.before), shown(&attribute.after)]
        });
        let table = Markdown::new().table(&["Attribute", "Before", "After"], rows);
        let left = usize::try_from(change.attributes.left_out).unwrap_or(usize::MAX);
        let title = format!("{} {}", icon(change.action), change.address);
        Markdown::new().details(&title, &more(table, left, "attributes")).into_string()
    };
    detailed.take(IN_FULL).map(one).collect()
}

pub(super) fn sign(counts: &Counts) -> &'static str {
    if counts.destroys > 0 {
        "⚠️"
    } else if counts.is_empty() {
        "✅"
    } else {
        "📝"
    }
}

pub(super) fn line(plan: &Plan) -> String {
    let mut text = plan.counts.to_string();
    if plan.counts.drifted > 0 {
        text.push_str(&format!("; {} drifted", counted(plan.counts.drifted, "resource")));
    }
    if plan.incomplete {
        text.push_str("; some changes are put off to a later plan");
    }
    if plan.errored {
        text.push_str("; planning failed, this is only a part");
    }
    text
}

fn icon(action: Action) -> &'static str {
    match action {
        Action::Delete => "🗑️",
        Action::Replace => "♻️",
        Action::Update => "✏️",
        Action::Create => "➕",
        Action::Forget => "👋",
        Action::Adopt => "📥",
        Action::Unknown => "❓",
        Action::Read | Action::None => "·",
    }
}

fn notes(change: &Change) -> String {
    let mut notes = Vec::new();
    if change.imported {
        notes.push("imported".to_owned());
    }
    notes.extend(change.moved_from.as_ref().map(|from| format!("moved from {}", code(from))));
    notes.extend(change.reason.as_deref().map(reason));
    let forced = change.attributes.kept.iter().filter(|attribute| attribute.forces_replacement);
    let forced: Vec<String> = forced.map(|attribute| code(&attribute.name)).collect();
    if !forced.is_empty() {
        notes.push(forced.join(", "));
    }
    notes.join(": ")
}

/// Terraform's code for a reason, in words.
fn reason(reason: &str) -> String {
    match reason {
        "replace_because_tainted" => "tainted by a failed creation".to_owned(),
        "replace_because_cannot_update" => "cannot be changed in place".to_owned(),
        "replace_by_request" => "replacement was asked for".to_owned(),
        "replace_by_triggers" => "replace_triggered_by".to_owned(),
        "delete_because_no_resource_config" => "no longer in the configuration".to_owned(),
        "delete_because_no_module" => "its module is gone".to_owned(),
        "delete_because_wrong_repetition" => "count or for_each was added or taken away".to_owned(),
        "delete_because_count_index" => "beyond count".to_owned(),
        "delete_because_each_key" => "its key is no longer in for_each".to_owned(),
        "delete_because_no_move_target" => "moved to an address that is not configured".to_owned(),
        other => escaped(&other.replace('_', " ")),
    }
}

fn shown(value: &Shown) -> String {
    match value {
        Shown::Value(value) => code(value),
        Shown::Hidden | Shown::Unknown => format!("*{value}*"),
        Shown::Absent => String::new(),
    }
}
