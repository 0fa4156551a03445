//! Purpose: an apply undone from its snapshot: parts before what holds them, each once.

use std::fmt;
use std::fmt::Write as _;

use serde::Serialize;
use tokio::time::Instant;

use super::settings::Settings;
use super::sources::{self, Source};
use super::{Outputs, files};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::contract::values::{Count, Flag};
use crate::domain::markdown::{Markdown, escaped};
use crate::domain::retention::{Deleted, DeletionState, Snapshot};
use crate::runner::{Failure, Kind};
use crate::services::ErrorClass;
use crate::services::holdings::{Entry, Outcome};

/// Lines that log and summary show.
const SHOWN: usize = 50;

/// What is going to be restored.
#[derive(Serialize)]
pub struct Restoration {
    /// In order.
    restores: Vec<Line>,
    #[serde(skip)]
    places: Vec<usize>,
    #[serde(skip)]
    snapshot: Snapshot,
    #[serde(skip)]
    settings: Settings,
}

#[derive(Serialize)]
struct Line {
    image: String,
    digest: String,
    tags: Vec<String>,
}

impl fmt::Display for Restoration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("restores {} manifests of the last apply", self.restores.len());
        for line in self.restores.iter().take(SHOWN) {
            let _ = write!(text, "\n- {}@{} {}", line.image, line.digest, line.tags.join(", "));
        }
        if let Some(more) = self.restores.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = write!(text, "\n… and {more} more");
        }
        f.write_str(&text)
    }
}

/// Reads the snapshot; asks nobody.
pub(super) async fn plan(settings: Settings, run: &Run) -> Result<Restoration, Failure> {
    let shown = settings.snapshot.display().to_string();
    let Some(snapshot) = files::snapshot(run, &settings.snapshot)? else {
        return Err(Failure::new(
            Kind::Input,
            "snapshot-missing",
            "No snapshot",
            format!("there is no snapshot {shown}"),
        )
        .hint("Download the artifact that the apply's workflow uploaded, and give its path as `snapshot`."));
    };
    let last = snapshot.last_run();
    let images: Vec<String> = settings.images.iter().map(ToString::to_string).collect();
    let is_meant = |deleted: &Deleted| {
        let is_open = matches!(deleted.state, DeletionState::Planned | DeletionState::Deleted);
        is_open && Some(deleted.run) == last && images.contains(&deleted.image)
    };
    // The last deletion first: parts come back before what holds them.
    let places: Vec<usize> =
        (0..snapshot.deletions.len()).rev().filter(|place| is_meant(&snapshot.deletions[*place])).collect();
    let line = |place: &usize| {
        let deleted = &snapshot.deletions[*place];
        Line { image: deleted.image.clone(), digest: deleted.digest.to_string(), tags: deleted.tags.clone() }
    };
    Ok(Restoration { restores: places.iter().map(line).collect(), places, settings, snapshot })
}

/// Restores; what is there already is no failure.
pub(super) async fn apply(restoration: Restoration, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    let Restoration { places, mut snapshot, settings, .. } = restoration;
    if places.is_empty() {
        outputs.passed = Some(Flag(true));
        return Ok(Verdict::Skipped("nothing-to-restore"));
    }
    let deadline = Instant::now() + settings.timeout;
    let sources = sources::of(&settings, run).await?;
    let (mut restored, mut failed) = (0_u64, Vec::new());
    let group = run.log.group("Restoring");
    let mut left = places.len();
    for place in places {
        if run.cancel.is_cancelled() || Instant::now() >= deadline {
            break;
        }
        left -= 1;
        let deleted = snapshot.deletions[place].clone();
        let Some(source) = sources.all.iter().find(|source| source.image.to_string() == deleted.image) else {
            continue;
        };
        match restore(source, &deleted).await {
            Outcome::Done => {
                restored += 1;
                snapshot.deletions[place].state = DeletionState::Restored;
            }
            Outcome::Already => snapshot.deletions[place].state = DeletionState::Kept,
            Outcome::Retained(why) | Outcome::Failed(_, why) => {
                let words = format!("{}@{}: {why}", deleted.image, deleted.digest);
                run.log.info(format!("failed to restore {words}"));
                failed.push(words);
            }
        }
    }
    drop(group);
    outputs.deleted = Some(Count(restored));
    outputs.failed = Some(Count(failed.len() as u64));
    outputs.snapshot = Some(settings.snapshot.to_string_lossy().into_owned());
    outputs.passed = Some(Flag(failed.is_empty()));
    let said = format!("{restored} restored, {} failed", failed.len());
    run.log.info(&said);
    let list = failed.iter().take(SHOWN).map(|words| escaped(words));
    run.summary.section(Markdown::new().heading(3, "Restored").paragraph(&said).bullets(list).into_string());
    files::write(run, &settings.snapshot, &snapshot)?;
    if run.cancel.is_cancelled() {
        return Err(Failure::cancelled());
    }
    verdict(&failed, left)
}

fn verdict(failed: &[String], left: usize) -> Result<Verdict, Failure> {
    match failed.first() {
        None if left > 0 => {
            Err(Failure::new(Kind::Work, "timeout", "Out of time", format!("{left} manifests are left to restore"))
                .hint("Run again with the snapshot that this run wrote; it goes on where this one ended."))
        }
        None => Ok(Verdict::Success("restored")),
        Some(first) => Err(Failure::new(
            Kind::Work,
            "partial-failure",
            "Not everything was restored",
            format!("{} restorations failed; the first: {first}", failed.len()),
        )
        .hint("GitHub restores within 30 days, and only for tokens with the role Admin on the package.")),
    }
}

async fn restore(source: &Source, deleted: &Deleted) -> Outcome {
    let entry = Entry {
        digest: deleted.digest.clone(),
        version: deleted.version,
        tags: deleted.tags.clone(),
        created: deleted.created,
        size: None,
    };
    let content = deleted.content.as_ref().map(|(media_type, text)| (media_type.as_str(), text.as_str()));
    match source.holdings.restore(&entry, content).await {
        // Tries again only what may pass; the rest is said.
        Outcome::Failed(ErrorClass::Unavailable, _) => source.holdings.restore(&entry, content).await,
        outcome => outcome,
    }
}
