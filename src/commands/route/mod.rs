//! Purpose: an event into the work that it asks for, and a person's command into an answer that they see at once.

use super::framework::{Command, Verdict};
use super::run::Run;
use super::upstream::Clients;
use crate::domain::comment::{Body, Marker, Reaction};
use crate::domain::markdown::{Markdown, code, escaped};
use crate::runner::{Failure, Kind};
use crate::services::github::{Earlier, GithubClient, GithubError, Thread};

mod inputs;
mod plan;

pub use inputs::{Inputs, Outputs};
use plan::Answer;
pub use plan::Plan;

/// The name in the hidden line of a reply: one reply per command.
const MARKER: &str = "landfall-route";

/// `route`.
pub struct Route;

impl Command for Route {
    const NAME: &'static str = "route";
    const TITLE: &'static str = "Which work an event or a command in a comment asks for";
    const BRANDING: (&'static str, &'static str) = ("git-branch", "blue");

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        let settings = inputs::settings(&inputs, run)?;
        Box::pin(plan::plan(settings, run, outputs)).await
    }

    async fn apply(mut plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let said = plan.to_string();
        *outputs = std::mem::take(&mut plan.outputs);
        Box::pin(answer(&plan, run, outputs)).await?;
        run.log.info(said);
        if !matches!(plan.answer, Answer::Refused(..)) {
            run.summary.section(summary(&plan, outputs));
        }
        match plan.answer {
            Answer::Run(_) => Ok(Verdict::Success("routed")),
            Answer::Nothing(reason, _) | Answer::Tell(reason) => Ok(Verdict::Skipped(reason)),
            Answer::Refused(reason, message) => Err(refusal(reason, message)),
        }
    }
}

/// Reacts first, because that is what people see first. Neither reaction nor reply is worth a failed run.
async fn answer(plan: &Plan, run: &Run, outputs: &mut Outputs) -> Result<(), Failure> {
    let Some((comment, number)) = plan.comment else {
        return Ok(());
    };
    let github = Clients::new(run).github()?;
    let repository = &plan.settings.repository;
    if let Some(reaction) = plan.reaction.and_then(|name| name.parse::<Reaction>().ok()) {
        match github.react(repository, comment, reaction).await {
            Ok(reacted) => {
                outputs.reaction_id = reacted.id.to_string();
                outputs.first = match reacted.earlier {
                    Earlier::No => "true".to_owned(),
                    Earlier::Yes => "false".to_owned(),
                    Earlier::Unknown => String::new(),
                };
            }
            Err(error) => warn(run, "No reaction", &error),
        }
    }
    if let Some(text) = &plan.reply {
        let thread = Thread { repository: repository.clone(), number };
        if let Err(error) = reply(&github, &thread, comment, text).await {
            warn(run, "No reply", &error);
        }
    }
    Ok(())
}

async fn reply(github: &GithubClient, thread: &Thread, comment: u64, text: &str) -> Result<(), GithubError> {
    let Ok(name) = MARKER.parse() else {
        return Ok(());
    };
    let marker = Marker::of_key(name, &comment.to_string());
    let body = Body::new(marker.clone()).section(text).cut("…").text;
    let me = github.identity().await?;
    github.publish_comment(thread, &me, &marker, &body).await?;
    Ok(())
}

fn warn(run: &Run, title: &str, error: &GithubError) {
    let hint = if error.lacks_permission() { "; give the job `permissions: pull-requests: write`" } else { "" };
    run.log.warn(title, format!("{error}{hint}"));
}

fn refusal(reason: &'static str, message: String) -> Failure {
    let failure = Failure::new(Kind::Gate, reason, "Command refused", message);
    match reason {
        "permission-denied" => {
            failure.hint("Somebody with the permission must give the command; see the input `require`.")
        }
        "fork" => failure.hint("Commands on a fork's code are for `allow_forks: true` and jobs without secrets."),
        "newer-commit" | "commit-age-unknown" | "other-commit" => {
            failure.hint("Look at the head, then comment again and name it: `/command abc1234`.")
        }
        "not-confirmed" => failure.hint("Put the word at the end of the command."),
        _ => failure.hint("Give the command yourself, in a new comment."),
    }
}

fn summary(plan: &Plan, outputs: &Outputs) -> String {
    let said = match &plan.answer {
        Answer::Run(job) => format!("{} runs {}.", code(&job.mode), code(&job.command)),
        Answer::Nothing(_, why) => format!("Nothing runs: {}.", escaped(why)),
        Answer::Tell(_) => "Nothing runs; the comment was answered.".to_owned(),
        // The failure has a section of its own.
        Answer::Refused(..) => String::new(),
    };
    let rows = [
        ("mode", &outputs.mode),
        ("command", &outputs.command),
        ("args", &outputs.args),
        ("layers", &outputs.layers),
        ("pr_number", &outputs.pr_number),
        ("sha", &outputs.sha),
        ("actor", &outputs.actor),
        ("permission", &outputs.permission),
    ];
    let rows =
        rows.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| vec![code(name), code(value)]);
    Markdown::new().heading(3, "Route").raw(&said).table(&["Output", "Value"], rows).into_string()
}
