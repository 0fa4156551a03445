//! Purpose: one comment per commit that shows how every stage stands, updated in place by many jobs.

use serde_json::json;

use super::framework::{Command, Verdict};
use super::run::Run;
use crate::domain::dashboard::{Board, StageStatus};
use crate::domain::markdown::Markdown;
use crate::runner::{Failure, Kind};
use crate::services::github::GithubError;
use crate::services::{Classified as _, ErrorClass};

mod converge;
mod inputs;
mod plan;
mod sources;

use converge::Place;
pub use inputs::{Inputs, Outputs};
use inputs::{Keep, Operation};
pub use plan::Plan;

/// `dashboard`.
pub struct Dashboard;

impl Command for Dashboard {
    const NAME: &'static str = "dashboard";
    const TITLE: &'static str = "One comment per commit with the state of every stage";
    const BRANDING: (&'static str, &'static str) = ("list", "blue");

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, _outputs: &mut Outputs) -> Result<Plan, Failure> {
        plan::plan(inputs::settings(&inputs, run)?, run).await
    }

    async fn apply(mut plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let mut board = std::mem::take(&mut plan.board);
        let done = Box::pin(publish(&plan, run, &mut board, outputs)).await;
        outputs.stages = Some(stages_json(&board));
        show(&plan, run, &board);
        done
    }
}

async fn publish(plan: &Plan, run: &Run, board: &mut Board, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    if plan.settings.operation == Operation::Show {
        if let Some(comment) = plan.seen.comments.first() {
            (outputs.comment_id, outputs.comment_url) = (Some(comment.id), Some(comment.url.clone()));
        }
        outputs.published = Some(if outputs.comment_id.is_some() { "comment" } else { "summary" }.to_owned());
        return Ok(Verdict::Success("shown"));
    }
    let keep = keep_records(plan, run, board).await?;
    let records = if keep == Keep::Comment { "comment" } else { "statuses" };
    outputs.records = Some(records.to_owned());
    let Some(thread) = &plan.sources.thread else {
        return without_comment(plan, run, outputs, None);
    };
    match converge::publish(plan, run, thread, keep, board).await? {
        Place::Comment(comment) => {
            (outputs.comment_id, outputs.comment_url) = (Some(comment.id), Some(comment.url));
            outputs.published = Some("comment".to_owned());
            Ok(Verdict::Success("published"))
        }
        Place::ReadOnly(error) => without_comment(plan, run, outputs, Some(error)),
    }
}

/// Writes each change where nobody else writes, and notes it on the board; gives where changes are kept.
async fn keep_records(plan: &Plan, run: &Run, board: &mut Board) -> Result<Keep, Failure> {
    let mut keep = plan.settings.keep;
    for (key, record) in &plan.changes {
        if keep == Keep::Comment {
            board.note(key.clone(), record);
            continue;
        }
        match plan.sources.keep_status(key, record).await {
            // As GitHub has it: its own time is the one that every other job will see.
            Ok(kept) => board.note(key.clone(), &kept),
            Err(error) if keep == Keep::Auto && is_no(&error) => {
                run.log.info(format!("The comment alone keeps the dashboard, because statuses cannot: {error}."));
                keep = Keep::Comment;
                board.note(key.clone(), record);
            }
            Err(error) => return Err(error.into()),
        }
    }
    board.append_unnamed();
    Ok(keep)
}

/// Whether GitHub will not take statuses from us: it said so, and asking again does not help.
fn is_no(error: &GithubError) -> bool {
    matches!(error.class(), ErrorClass::Forbidden | ErrorClass::NotFound | ErrorClass::Invalid)
}

/// There is no comment: the same content is in the job summary.
fn without_comment(
    plan: &Plan,
    run: &Run,
    outputs: &mut Outputs,
    refusal: Option<GithubError>,
) -> Result<Verdict, Failure> {
    let sha = plan.sources.sha.short();
    let (reason, why) = match refusal {
        Some(_) => ("read-only-token", "the token may not write comments, as in a pull request from a fork"),
        None => ("no-pull-request", "the commit belongs to no pull request"),
    };
    if plan.settings.is_comment_required {
        let failure = |kind| {
            Failure::new(
                kind,
                reason,
                "No dashboard comment",
                format!("the dashboard of {sha} cannot be a comment: {why}"),
            )
        };
        return Err(match refusal {
            Some(error) => failure(Kind::Auth)
                .hint(
                    "Give the job `permissions: pull-requests: write`; in a pull request from a fork it has no effect.",
                )
                .hint("Without `require_comment` the dashboard goes to the job summary then.")
                .caused_by(error),
            None => failure(Kind::Input).hint("Set `pr_number`, or leave `require_comment` out."),
        });
    }
    run.log.info(format!("No comment, because {why}: the dashboard of {sha} is in the job summary."));
    outputs.published = Some("summary".to_owned());
    Ok(Verdict::Success(reason))
}

fn stages_json(board: &Board) -> String {
    let rows = board.rows().map(|(key, title, record)| {
        json!({
            "key": key,
            "title": title,
            "status": record.map_or(StageStatus::Pending, |record| record.status),
            "link": record.and_then(|record| record.link.as_deref()),
            "time": record.map(|record| record.at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
        })
    });
    serde_json::Value::Array(rows.collect()).to_string()
}

/// The table for the log and the job summary.
fn show(plan: &Plan, run: &Run, board: &Board) {
    let group = run.log.group(format!("Dashboard of {}", plan.sources.sha.short()));
    for (_, title, record) in board.rows() {
        let status = record.map_or(StageStatus::Pending, |record| record.status);
        let time = record.map(|record| record.at.strftime(" since %H:%M UTC").to_string()).unwrap_or_default();
        run.log.info(format!("{} {title}: {}{time}", status.sign(), status.as_str()));
    }
    drop(group);
    let section = Markdown::new().raw(plan.picture(board).summary().trim_end());
    run.summary.section(section.into_string());
}
