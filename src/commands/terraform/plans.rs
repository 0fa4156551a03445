//! Purpose: `plan` and `apply`: the plan as the reviewers see it, and the guard that only that plan is applied.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::inputs::{FailOn, Outputs, Settings};
use super::tools::{LARGEST, Output, Tools, unwritten, work_path, write_file};
use super::{Story, failed, init, lock_timeout};
use crate::commands::run::Run;
use crate::domain::hex::hex;
use crate::domain::report::plan::{self as reader, Plan};
use crate::domain::report::render::{Origin, Reports};
use crate::domain::terraform::{PlanRecord, applied};
use crate::runner::{Failure, Kind};
use crate::services::toolbox::Taken;

/// Where the tools find the plan.
const PLAN: &str = "/landfall/out/tfplan";
/// What `plan -detailed-exitcode` ends with when there are changes.
const CHANGED: i64 = 2;

/// A plan file that may be applied.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) content: Vec<u8>,
}

/// The record beside a plan file.
fn record_path(plan_file: &str) -> String {
    format!("{plan_file}.landfall.json")
}

fn checksum(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn checksum_of(path: &Path) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    std::io::copy(&mut std::fs::File::open(path)?, &mut hasher)?;
    Ok(hex(&hasher.finalize()))
}

/// Whether the plan file may be applied: it and its record are there, and the record is of this commit.
pub(super) fn check_file(settings: &Settings, run: &Run) -> Result<Checked, Failure> {
    let missing = |what: &str, path: &str, error: std::io::Error| {
        let message = format!("{what} {path} cannot be read");
        Failure::new(Kind::Input, "plan-missing", "No plan to apply", message)
            .hint("Run `operation: plan` first, and bring the plan file and the .landfall.json beside it into the workspace.")
            .caused_by(error)
    };
    let path = run.workspace().join(&settings.plan_file);
    let size = std::fs::metadata(&path).map_err(|error| missing("the plan file", &settings.plan_file, error))?.len();
    if size > LARGEST {
        return Err(Failure::input(
            format!("the plan file {} is larger than 512 MiB", settings.plan_file),
            "Name a plan file.",
        ));
    }
    let content = std::fs::read(&path).map_err(|error| missing("the plan file", &settings.plan_file, error))?;
    let beside = record_path(&settings.plan_file);
    let record = std::fs::read(run.workspace().join(&beside)).map_err(|error| missing("the record", &beside, error))?;
    let record: PlanRecord = serde_json::from_slice(&record).map_err(|error| {
        Failure::new(Kind::Gate, "plan-refused", "Plan refused", format!("the record {beside} cannot be used"))
            .hint("Make a new plan.")
            .caused_by(error)
    })?;
    let commit = settings.commit.as_ref().map(ToString::to_string).unwrap_or_default();
    record.permits(&commit, &settings.directory, &checksum(&content)).map_err(|error| {
        let message = format!("the plan file {} {error}", settings.plan_file);
        Failure::new(Kind::Gate, "plan-refused", "Plan refused", message)
            .hint("Make a new plan for this commit, have it reviewed, and apply that one; nothing was touched.")
    })?;
    if record.image != settings.image {
        run.log.warn(
            "Another image",
            format!("the plan was made with {}, and is applied with {}", record.image, settings.image),
        );
    }
    Ok(Checked { content })
}

pub(super) async fn plan(
    settings: &Settings,
    tools: &Tools<'_>,
    run: &Run,
    story: &mut Story,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    init(settings, tools, run).await?;
    keep_lock_file(settings, tools, run).await?;
    if settings.commit.is_none() {
        run.log.warn(
            "No commit",
            "the event does not name the commit of this plan, so that it cannot be applied; set `sha`",
        );
    }
    let group = run.log.group("Plan");
    let mut arguments: Vec<String> =
        ["plan", "-input=false", "-no-color", "-detailed-exitcode"].map(str::to_owned).to_vec();
    arguments.extend([format!("-out={PLAN}"), lock_timeout(settings)]);
    arguments.extend(settings.var_files.iter().map(|file| format!("-var-file={file}")));
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    // Its text shows values that the provider forgot to mark; the JSON is told instead.
    let ended = tools.tool(&settings.image, &arguments, Output::To(&|_| ())).await?;
    drop(group);
    if ended.code != 0 && ended.code != CHANGED {
        return Err(failed("plan", &settings.image, &ended));
    }
    let plan = show(settings, tools).await?;
    note(&plan, outputs);
    keep(settings, tools, run).await?;
    outputs.plan_file = Some(settings.plan_file.clone());
    outputs.has_changes = Some(!plan.counts.is_empty());
    run.log.info(format!("Plan: {}", plan.counts));
    for change in &plan.changes.kept {
        run.log.foreign(format!("  {} {}", change.action.word(), change.address));
    }
    let verdict = judge(settings, &plan);
    outputs.passed = Some(verdict.is_ok());
    story.verdict = verdict.err();
    tell(plan, story);
    Ok(())
}

/// Without the providers' lock file beside it a plan is not accepted by the apply of another job.
async fn keep_lock_file(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<(), Failure> {
    const NAME: &str = ".terraform.lock.hcl";
    let path = run.workspace().join(&settings.directory).join(NAME);
    if path.exists() {
        return Ok(());
    }
    tools.take(&work_path(&settings.directory, NAME), &path).await.map(drop)
}

/// The plan as JSON goes from the tool straight into the reader: it holds secrets, and is written nowhere.
async fn show(settings: &Settings, tools: &Tools<'_>) -> Result<Plan, Failure> {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Vec<u8>>(64);
    let reading = tokio::task::spawn_blocking(move || reader::read(Pieces { receiver, piece: Vec::new(), at: 0 }));
    // The reader may give up early, on something that is no plan; the tool is read to its end all the same.
    let take = move |data: &[u8]| drop(tokio::task::block_in_place(|| sender.send(data.to_vec())));
    let ended = tools.tool(&settings.image, &["show", "-json", "-no-color", PLAN], Output::To(&take)).await;
    drop(take);
    let ended = ended?;
    let read = reading.await.map_err(|error| {
        Failure::new(Kind::Work, "internal", "Internal error", "the plan could not be read").caused_by(error)
    })?;
    if ended.code != 0 {
        return Err(failed("show", &settings.image, &ended));
    }
    read.map_err(|error| {
        Failure::new(Kind::Work, "tool-failed", "Plan not understood", "the plan that the tool shows cannot be read")
            .hint("Use Terraform 0.15 or newer, or OpenTofu.")
            .caused_by(error)
    })
}

/// Pieces from a channel as a stream.
struct Pieces {
    receiver: std::sync::mpsc::Receiver<Vec<u8>>,
    piece: Vec<u8>,
    at: usize,
}

impl std::io::Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        while self.at == self.piece.len() {
            match self.receiver.recv() {
                Ok(piece) => (self.piece, self.at) = (piece, 0),
                Err(_) => return Ok(0),
            }
        }
        let length = buffer.len().min(self.piece.len() - self.at);
        buffer[..length].copy_from_slice(&self.piece[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// Takes the plan file, and writes the record that binds it to its commit.
async fn keep(settings: &Settings, tools: &Tools<'_>, run: &Run) -> Result<(), Failure> {
    let path = run.workspace().join(&settings.plan_file);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
    }
    if tools.take(PLAN, &path).await? == Taken::Missing {
        let message = "plan ended well and left no plan file";
        return Err(Failure::new(Kind::Work, "tool-failed", "plan failed", message));
    }
    let sha256 = checksum_of(&path).map_err(|source| unwritten(&path, source))?;
    let record = PlanRecord {
        version: PlanRecord::VERSION,
        commit: settings.commit.as_ref().map(ToString::to_string).unwrap_or_default(),
        directory: settings.directory.clone(),
        sha256,
        image: settings.image.clone(),
        made_at: run.clock.now().to_string(),
    };
    let record = serde_json::to_vec_pretty(&record).unwrap_or_default();
    write_file(&run.workspace().join(record_path(&settings.plan_file)), &record)
}

fn note(plan: &Plan, outputs: &mut Outputs) {
    outputs.adds = Some(plan.counts.adds);
    outputs.changes = Some(plan.counts.changes);
    outputs.destroys = Some(plan.counts.destroys);
    outputs.drift = Some(plan.counts.drifted);
}

fn tell(plan: Plan, story: &mut Story) {
    let reports = Reports { plans: vec![("plan".to_owned(), plan)], ..Reports::default() };
    story.lines = reports.plans.iter().map(|(_, plan)| crate::domain::report::render::plan_line(plan)).collect();
    story.sections.extend(reports.sections("Plan", &Origin::default()).into_iter().skip(1));
}

fn judge(settings: &Settings, plan: &Plan) -> Result<(), Failure> {
    let changed = !plan.counts.is_empty() || plan.counts.drifted > 0;
    if !changed || !settings.fail_on.contains(&FailOn::Changes) {
        return Ok(());
    }
    let drift = if plan.counts.drifted > 0 { format!("; {} drifted", plan.counts.drifted) } else { String::new() };
    let message = format!("the plan of {} is not empty: {}{drift}", settings.shown_directory(), plan.counts);
    Err(Failure::new(Kind::Gate, "plan-has-changes", "Plan has changes", message)
        .hint("Apply the plan, or bring the configuration in line with the world."))
}

pub(super) async fn apply(
    settings: &Settings,
    tools: &Tools<'_>,
    run: &Run,
    story: &mut Story,
    outputs: &mut Outputs,
) -> Result<(), Failure> {
    init(settings, tools, run).await?;
    let plan = show(settings, tools).await?;
    run.log.info(format!("Applying: {}", plan.counts));
    let group = run.log.group("Apply");
    let lock = lock_timeout(settings);
    let arguments = ["apply", "-input=false", "-no-color", &lock, PLAN];
    let ended = tools.tool(&settings.image, &arguments, Output::ShownUntil("Outputs:")).await?;
    drop(group);
    // Whatever happened, a state that lies beside the configuration is what the next run needs.
    tools.take_state().await?;
    if ended.code != 0 {
        return Err(failed("apply", &settings.image, &ended)
            .hint("A part of the plan may be applied: make a new plan, which shows what is left."));
    }
    note(&plan, outputs);
    let done = ended.lines.iter().find_map(|line| applied(line));
    if let Some((adds, changes, destroys)) = done {
        (outputs.adds, outputs.changes, outputs.destroys) = (Some(adds), Some(changes), Some(destroys));
    }
    outputs.passed = Some(true);
    let (adds, changes, destroys) = done.unwrap_or((plan.counts.adds, plan.counts.changes, plan.counts.destroys));
    tell(plan, story);
    story.lines = vec![format!("✅ **Applied:** {adds} added, {changes} changed, {destroys} destroyed")];
    Ok(())
}
