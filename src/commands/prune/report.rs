//! Purpose: the plan for people and for programs: a few lines, a table by class, a bounded list, and all of it as JSON.

use std::fmt::Write as _;

use serde::{Serialize, Serializer};

use super::collect::{Planned, Requests};
use crate::commands::run::Run;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::names::Digest;
use crate::domain::retention::{Class, Counts, Deletion, Finding, Freed, NodeId, TagFate, Untag};

/// Deletions that log and summary show; the plan file has all of them.
const SHOWN: usize = 50;

/// The plan as JSON; its form has a version of its own.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    schema: u32,
    planned_at: String,
    policy: &'a str,
    min_age: String,
    in_use: &'a [String],
    findings: Vec<String>,
    requests: Requests,
    freed: Freed,
    classes: std::collections::BTreeMap<Class, Counts>,
    moved: &'a [String],
    deletions: Deletions<'a>,
    untags: Vec<UntagRow<'a>>,
    stuck: Vec<UntagRow<'a>>,
    kept: Kept<'a>,
}

struct Deletions<'a>(&'a Planned);
struct Kept<'a>(&'a Planned);

#[derive(Serialize)]
struct Row<'a> {
    image: &'a str,
    digest: &'a Digest,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<TagRow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<String>,
    reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<usize>,
}

#[derive(Serialize)]
struct TagRow<'a> {
    tag: &'a str,
    reason: String,
}

#[derive(Serialize)]
struct UntagRow<'a> {
    image: &'a str,
    digest: &'a Digest,
    tag: &'a str,
}

impl<'a> Document<'a> {
    pub(super) fn of(planned: &'a Planned) -> Self {
        Self {
            schema: 1,
            planned_at: moment(planned.plan.now),
            policy: &planned.settings.policy_name,
            min_age: planned.settings.policy.min_age.to_string(),
            in_use: &planned.looked,
            findings: planned.findings.iter().map(Finding::to_string).collect(),
            requests: planned.requests,
            freed: planned.plan.freed(&planned.registry, |_| true),
            classes: planned.plan.by_class(&planned.registry),
            moved: &planned.moved,
            deletions: Deletions(planned),
            untags: planned.plan.untags.iter().map(|untag| untag_row(planned, untag)).collect(),
            stuck: planned.plan.stuck.iter().map(|untag| untag_row(planned, untag)).collect(),
            kept: Kept(planned),
        }
    }
}

impl Serialize for Deletions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.plan.deletions.iter();
        serializer.collect_seq(rows.map(|deletion| {
            let reason = self.0.plan.explain_deletion(&self.0.registry, deletion);
            Row { reason, ..row(self.0, deletion.node, Some(deletion.wave)) }
        }))
    }
}

impl Serialize for Kept<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fates = self.0.plan.fates.iter().enumerate();
        let kept = fates.filter(|(_, fate)| !fate.is_deleted()).map(|(place, _)| row(self.0, place, None));
        serializer.collect_seq(kept)
    }
}

fn row(planned: &Planned, place: NodeId, wave: Option<usize>) -> Row<'_> {
    let node = &planned.registry.nodes()[place];
    let fates = planned.plan.fates.get(place).map_or(&[][..], |fate| &fate.tags);
    let tags = node.tags.iter().zip(fates).map(|((tag, _), fate)| TagRow { tag, reason: fate.to_string() });
    Row {
        image: &planned.registry.repositories[node.repository].name,
        digest: &node.digest,
        version: node.version,
        tags: tags.collect(),
        created: node.created.map(moment),
        reason: planned.plan.explain(&planned.registry, place),
        wave,
    }
}

fn untag_row<'a>(planned: &'a Planned, untag: &'a Untag) -> UntagRow<'a> {
    let node = &planned.registry.nodes()[untag.node];
    UntagRow { image: &planned.registry.repositories[node.repository].name, digest: &node.digest, tag: &untag.tag }
}

fn moment(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map(|at| at.to_string()).unwrap_or_default()
}

/// The plan in lines.
pub(super) fn text(planned: &Planned) -> String {
    let mut text = headline(planned);
    for deletion in planned.plan.deletions.iter().take(SHOWN) {
        let _ = write!(text, "\n- {}", line(planned, deletion));
    }
    let more = planned.plan.deletions.len().saturating_sub(SHOWN);
    if more > 0 {
        let _ = write!(text, "\n… and {more} more in the plan file");
    }
    for untag in planned.plan.untags.iter().take(SHOWN) {
        let _ =
            write!(text, "\n- takes the tag {} off {}", untag.tag, short(&planned.registry.nodes()[untag.node].digest));
    }
    text
}

fn headline(planned: &Planned) -> String {
    let freed = planned.plan.freed(&planned.registry, |_| true);
    let tags = match planned.plan.untags.len() {
        0 => String::new(),
        count => format!(", takes off {count} tags"),
    };
    format!(
        "deletes {} of {} manifests{tags}, frees {}",
        planned.plan.deletions.len(),
        planned.registry.nodes().iter().filter(|node| node.is_listed).count(),
        freed_words(freed)
    )
}

fn line(planned: &Planned, deletion: &Deletion) -> String {
    let node = &planned.registry.nodes()[deletion.node];
    let tags: Vec<&str> = node.tags.iter().map(|(tag, _)| tag.as_str()).collect();
    let name = if tags.is_empty() {
        short(&node.digest).to_owned()
    } else {
        format!("{} ({})", tags.join(", "), short(&node.digest))
    };
    format!("{name}: {}", planned.plan.explain_deletion(&planned.registry, deletion))
}

fn short(digest: &Digest) -> &str {
    digest.as_str().get(..19).unwrap_or(digest.as_str())
}

/// Freed bytes, with what adding up would claim.
pub(super) fn freed_words(freed: Freed) -> String {
    let about = if freed.is_exact { "" } else { "at most " };
    if freed.naive > freed.bytes {
        format!("{about}{} ({} with shared layers counted each time)", bytes(freed.bytes), bytes(freed.naive))
    } else {
        format!("{about}{}", bytes(freed.bytes))
    }
}

pub(super) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "shown with one decimal")]
    let value = count as f64;
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} kB", value / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", value / 1e6),
        _ => format!("{:.1} GB", value / 1e9),
    }
}

/// The plan in the log, in short.
pub(super) fn log(planned: &Planned, run: &Run) {
    let group = run.log.group("Plan");
    run.log.info(format!("policy: {}", planned.settings.policy_name));
    for finding in planned.findings.iter().filter(|finding| finding.is_by_design()) {
        run.log.info(finding.to_string());
    }
    run.log.info(headline(planned));
    for (class, counts) in planned.plan.by_class(&planned.registry) {
        run.log.info(format!("{}: {} deleted, {} kept", class.title(), counts.deleted, counts.kept));
    }
    if !planned.plan.stuck.is_empty() {
        run.log.info(format!(
            "{} expired tags stay, because GitHub deletes a version with all of its tags only",
            planned.plan.stuck.len()
        ));
    }
    for moved in planned.moved.iter().take(SHOWN) {
        run.log.info(format!("since the last snapshot: {moved}"));
    }
    for (_, unanswered) in planned.unanswered.iter().take(SHOWN) {
        run.log.info(format!("not read: {unanswered}"));
    }
    drop(group);
}

/// The plan in the summary.
pub(super) fn section(planned: &Planned) -> String {
    let names: Vec<String> = planned.settings.images.iter().map(|image| code(&image.to_string())).collect();
    let about = format!(
        "{}: {}. Policy: {}.",
        names.join(", "),
        escaped(&headline(planned)),
        escaped(&planned.settings.policy_name)
    );
    let rows = planned.plan.by_class(&planned.registry).into_iter().map(|(class, counts)| {
        let number = |count: u64| count.to_string();
        vec![
            class.title().to_owned(),
            number(counts.total),
            number(counts.deleted),
            number(counts.kept),
            number(counts.protected),
            number(counts.in_use),
        ]
    });
    let head = ["Class", "Manifests", "Deleted", "Kept", "Protected", "In use"];
    let mut section = Markdown::new().heading(3, "Retention plan").raw(&about).table(&head, rows);
    if !planned.findings.is_empty() {
        section = section.bullets(planned.findings.iter().map(|finding| escaped(&finding.to_string())));
    }
    let deletions = planned.plan.deletions.iter().take(SHOWN).map(|deletion| deletion_row(planned, deletion));
    if !planned.plan.deletions.is_empty() {
        let title = match planned.plan.deletions.len() {
            count if count > SHOWN => format!("Deletions (the first {SHOWN} of {count})"),
            count => format!("Deletions ({count})"),
        };
        section = section.details(&title, &Markdown::new().table(&["Tags", "Digest", "Why"], deletions));
    }
    section =
        section.details("Why the others stay", &Markdown::new().table(&["Reason", "Manifests"], reasons(planned)));
    section.into_string()
}

fn deletion_row(planned: &Planned, deletion: &Deletion) -> Vec<String> {
    let node = &planned.registry.nodes()[deletion.node];
    let tags: Vec<String> = node.tags.iter().map(|(tag, _)| code(tag)).collect();
    vec![
        tags.join(" "),
        code(short(&node.digest)),
        escaped(&planned.plan.explain_deletion(&planned.registry, deletion)),
    ]
}

/// Kept manifests by the kind of their reason.
fn reasons(planned: &Planned) -> Vec<Vec<String>> {
    use crate::domain::retention::Reason;
    let mut counts: std::collections::BTreeMap<&'static str, u64> = std::collections::BTreeMap::new();
    for fate in planned.plan.fates.iter().filter(|fate| !fate.is_deleted()) {
        let kind = match &fate.reason {
            Reason::Tag(tag) => match fate.tags.get(*tag) {
                Some(TagFate::Protected(_)) => "a protected tag",
                Some(TagFate::InUse(_)) => "a tag in use",
                Some(TagFate::NoRule) => "a tag that no rule matches",
                Some(TagFate::Newest(_)) => "among the newest of its rule",
                _ => "a tag that is young",
            },
            Reason::InUse(_) => "a digest in use",
            Reason::Young | Reason::YoungOrphan => "young",
            Reason::NewestTagged => "the newest tagged image",
            Reason::Unreadable(_) => "not readable",
            Reason::MightBeReached(_) => "may belong to what is not readable",
            Reason::Uncertain => "the listing changed meanwhile",
            Reason::RepositoryKept => "nothing is deleted in its repository",
            Reason::Kept(..) => "belongs to what stays",
            Reason::Ghost => "listed, but gone already",
            Reason::Unlisted => "only referred to",
            Reason::Expired | Reason::Unreachable => continue,
        };
        *counts.entry(kind).or_default() += 1;
    }
    counts.into_iter().map(|(kind, count)| vec![kind.to_owned(), count.to_string()]).collect()
}
