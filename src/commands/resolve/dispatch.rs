//! Purpose: an image that another repository's workflow builds: start it, find its run, watch it, require the image.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::Instant;

use self::begun::Begun;
use super::Outputs;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::contract::values::{Flag, Span};
use crate::domain::dispatch::{Seen, news};
use crate::domain::names::RepositoryName;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Kind};
use crate::services::Classified as _;
use crate::services::asking;
use crate::services::github::{
    Attempts, Conclusion, GithubClient, GithubError, Job, Repository, RunStatus, WorkflowRun,
};

mod begun;

pub(super) use begun::take_back_later;

/// The longest time until the run of a dispatch shows up in the listing.
const APPEARS_WITHIN: Duration = Duration::from_secs(180);
/// Unanswered looks in a row that are borne with; each of them was tried several times already.
const PATIENCE: u32 = 10;
/// Looks for the image after the run has ended well.
const LOOKS: u32 = 5;
/// How far the clocks of this machine and of GitHub may differ.
const SKEW: Duration = Duration::from_secs(600);
/// The key of a `repository_dispatch` payload by which the run is found.
pub(super) const NONCE_KEY: &str = "landfall_nonce";

/// What is started.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Trigger {
    /// A workflow that listens to `workflow_dispatch`, by file name or number, at a branch or tag.
    Workflow {
        /// File name or number.
        workflow: String,
        /// Branch or tag.
        at: String,
    },
    /// Whatever listens to a `repository_dispatch` of this type.
    Event(String),
}

impl Trigger {
    fn of(&self, companion: &str) -> String {
        match self {
            Self::Workflow { workflow, at } => format!("workflow '{workflow}' of {companion} at '{at}'"),
            Self::Event(kind) => format!("repository_dispatch '{kind}' to {companion}"),
        }
    }
}

/// A start, ready to be made.
#[derive(Debug, Serialize)]
pub(super) struct Start {
    pub(super) companion: RepositoryName,
    pub(super) trigger: Trigger,
    pub(super) inputs: BTreeMap<String, String>,
    /// The image that must exist afterwards.
    pub(super) image: ImageRef,
    /// By which the run is found where the server does not name it.
    pub(super) nonce: String,
    #[serde(skip)]
    pub(super) token: Option<SecretString>,
    #[serde(skip)]
    pub(super) interval: Duration,
    /// The longest time until the run must have ended.
    #[serde(skip)]
    pub(super) limit: Duration,
}

impl Start {
    /// What is started, for people.
    pub(super) fn what(&self) -> String {
        self.trigger.of(self.companion.as_str())
    }
}

/// Starts, waits and requires the image. Outputs are filled in as they become known.
pub(super) async fn build(start: &Start, run: &Run, outputs: &mut Outputs) -> Result<(), Failure> {
    let github = Clients::new(run).github_with(start.token.clone())?;
    let repository = run.unless_cancelled(github.repository(&start.companion)).await??;
    let begun = Begun::of(start, run.clock.now() - SKEW);
    let mut watch = Watch { start, run, github, repository, begun, jobs: Vec::new() };
    let group = run.log.group(format!("Start: {}", start.what()));
    // Before anything is started: the post step takes it back even after a crash.
    watch.begun.save(run)?;
    // Not given up half-way: a run that nobody knows of could not be taken back.
    watch.begun.run = match watch.started().await {
        Ok(found) => found,
        Err(failure) => {
            // Where it is not known whether anything was started the post step looks for it.
            if failure.kind != Kind::Upstream {
                begun::forget(run);
            }
            return Err(failure);
        }
    };
    watch.begun.save(run)?;
    drop(group);
    let ended = tokio::select! {
        ended = watch.until_ended(outputs) => ended,
        () = run.cancel.cancelled() => Err(Failure::cancelled()),
        waited_for = asking::time_is_up(start.limit) => Err(late(start, &waited_for)),
    };
    if ended.is_ok() {
        begun::forget(run);
    }
    match ended {
        Ok(ended) => {
            watch.judge(&ended).await?;
            required(start, run, outputs).await
        }
        Err(failure) => {
            let is_ours_to_end = matches!(failure.reason, "cancelled" | "timeout");
            // What could not be taken back in time is tried once more by the post step.
            if !is_ours_to_end || watch.begun.take_back(&watch.github, &watch.repository, run).await.is_some() {
                begun::forget(run);
            }
            Err(failure)
        }
    }
}

struct Watch<'a> {
    start: &'a Start,
    run: &'a Run,
    github: GithubClient,
    repository: Repository,
    begun: Begun,
    jobs: Vec<Seen>,
}

impl Watch<'_> {
    /// Starts the work; the run's number when the server says it.
    async fn started(&self) -> Result<Option<u64>, Failure> {
        let start = self.start;
        match &start.trigger {
            Trigger::Workflow { workflow, at } => {
                let dispatched = self
                    .github
                    .dispatch_workflow(&self.repository, workflow, at, &start.inputs)
                    .await
                    .map_err(not_started)?;
                if dispatched.is_none() && !start.inputs.values().any(|value| value.contains(&start.nonce)) {
                    return Err(unnamed(start));
                }
                Ok(dispatched.map(|dispatched| dispatched.run_id))
            }
            Trigger::Event(kind) => {
                let mut payload = json!(start.inputs);
                payload[NONCE_KEY] = json!(start.nonce);
                self.github.repository_dispatch(&self.repository, kind, &payload).await.map_err(not_started)?;
                Ok(None)
            }
        }
    }

    /// The run in its last state.
    async fn until_ended(&mut self, outputs: &mut Outputs) -> Result<WorkflowRun, Failure> {
        let id = match self.begun.run {
            Some(id) => id,
            None => self.searched().await?,
        };
        self.begun.run = Some(id);
        self.begun.save(self.run)?;
        let (mut told, mut silent) = (None, 0);
        let group = self.run.log.group(format!("Run {id} of {}", self.start.companion));
        loop {
            match self.look(id).await {
                Ok((seen, news)) => {
                    silent = 0;
                    if told != Some((seen.status, seen.conclusion)) {
                        told = Some((seen.status, seen.conclusion));
                        outputs.run_url = Some(seen.html_url.clone());
                        self.run.log.info(format!("{}: {}", standing(&seen), seen.html_url));
                    }
                    news.iter().for_each(|line| self.run.log.info(format!("  {line}")));
                    if seen.status.is_completed() {
                        drop(group);
                        return Ok(seen);
                    }
                }
                Err(error) if error.class().is_transient() && silent < PATIENCE => {
                    silent += 1;
                    self.run.log.info(format!("no answer about the run, which goes on: {error}"));
                }
                Err(error) => return Err(error.into()),
            }
            tokio::time::sleep(self.start.interval).await;
        }
    }

    /// The run, and what is new about its jobs.
    async fn look(&mut self, id: u64) -> Result<(WorkflowRun, Vec<String>), GithubError> {
        let seen = self.github.workflow_run(&self.repository, id).await?;
        if seen.status == RunStatus::Queued {
            return Ok((seen, Vec::new()));
        }
        let now: Vec<Seen> = self.all_jobs(id).await?.iter().map(seen_of).collect();
        let news = news(&self.jobs, &now);
        self.jobs = now;
        Ok((seen, news))
    }

    async fn all_jobs(&self, id: u64) -> Result<Vec<Job>, GithubError> {
        let (mut pages, mut jobs) = (self.github.run_jobs(&self.repository, id, Attempts::Latest), Vec::new());
        while let Some(job) = pages.next().await? {
            jobs.push(job);
        }
        Ok(jobs)
    }

    /// Looks for the run whose title holds the nonce.
    async fn searched(&self) -> Result<u64, Failure> {
        let begin = Instant::now();
        self.run.log.info(format!("looking for the run with '{}' in its name", self.start.nonce));
        loop {
            match self.begun.listed(&self.github, &self.repository).await {
                Ok(Some(id)) => return Ok(id),
                Err(error) if !error.class().is_transient() => return Err(error.into()),
                Ok(None) | Err(_) => {}
            }
            if begin.elapsed() > APPEARS_WITHIN.min(self.start.limit) {
                return Err(nowhere(self.start));
            }
            tokio::time::sleep(self.start.interval).await;
        }
    }

    /// Explains a run that did not end well.
    async fn judge(&self, ended: &WorkflowRun) -> Result<(), Failure> {
        if ended.conclusion == Some(Conclusion::Success) {
            return Ok(());
        }
        let how = ended.conclusion.map_or("an end that GitHub does not name", Conclusion::words);
        let bad = |seen: &&Seen| !["success", "skipped", "neutral"].contains(&seen.state.as_str());
        let jobs: Vec<String> = self.jobs.iter().filter(bad).map(failed_job).collect();
        let which = if jobs.is_empty() { String::new() } else { format!(": {}", jobs.join(", ")) };
        let message = format!("the run of {} ended with {how}{which}", self.start.what());
        let reason = match ended.conclusion {
            Some(Conclusion::Cancelled) => "dispatched-run-cancelled",
            _ => "dispatched-run-failed",
        };
        Err(Failure::new(Kind::Work, reason, "Companion's run failed", message)
            .hint(format!("Its log is at {}.", ended.html_url)))
    }
}

fn failed_job(seen: &Seen) -> String {
    match &seen.step {
        Some(step) => format!("job '{}' at step '{step}'", seen.job),
        None => format!("job '{}'", seen.job),
    }
}

fn standing(run: &WorkflowRun) -> &'static str {
    match run.conclusion {
        Some(conclusion) if run.status.is_completed() => conclusion.words(),
        _ => run.status.words(),
    }
}

fn seen_of(job: &Job) -> Seen {
    let fails = |conclusion: Option<Conclusion>| {
        !matches!(conclusion, None | Some(Conclusion::Success | Conclusion::Skipped | Conclusion::Neutral))
    };
    let step = match job.conclusion {
        None => job.steps.iter().find(|step| step.status == RunStatus::InProgress),
        conclusion if fails(conclusion) => job.steps.iter().find(|step| fails(step.conclusion)),
        _ => None,
    };
    let state = job.conclusion.map_or(job.status.words(), Conclusion::words);
    Seen { job: job.name.clone(), state: state.to_owned(), step: step.map(|step| step.name.clone()) }
}

/// A run that ended well is not yet an image.
async fn required(start: &Start, run: &Run, outputs: &mut Outputs) -> Result<(), Failure> {
    let existence = Clients::new(run).existence(None, &[start.image.registry()])?;
    for look in 1..=LOOKS {
        let found = run.unless_cancelled(existence.find(&start.image)).await??;
        if let Some(digest) = found.digest {
            run.log.info(format!("image {}: exists, {digest}", start.image));
            (outputs.needs_build, outputs.exists) = (Some(Flag(false)), Some(Flag(true)));
            outputs.digest = Some(digest.to_string());
            return Ok(());
        }
        if look < LOOKS {
            run.unless_cancelled(tokio::time::sleep(start.interval)).await?;
        }
    }
    let message = format!("the run of {} succeeded and left no image {}", start.what(), start.image);
    Err(Failure::new(Kind::Work, "image-missing", "No image", message)
        .hint("Tell the workflow what to push, for example with `dispatch_inputs: image={image}`, and let it push exactly that."))
}

fn not_started(error: GithubError) -> Failure {
    let doubtful = error.class().is_transient() && !error.had_no_effect();
    let failure = Failure::from(error);
    if doubtful {
        return failure
            .hint("Whether a run was started is not known; look at the companion's runs before trying again.");
    }
    failure
        .hint("The workflow must exist at that branch and listen to `workflow_dispatch` with exactly these inputs.")
        .hint("`companion_token` needs `actions: write` for the companion, or `contents: write` for a repository_dispatch.")
}

fn late(start: &Start, waited_for: &str) -> Failure {
    let message = format!("the run of {} did not end within {}{waited_for}", start.what(), Span(start.limit));
    Failure::new(Kind::Work, "timeout", "Out of time", message).hint("Raise `timeout` if the build may take longer.")
}

fn unnamed(start: &Start) -> Failure {
    let message = format!("{} was started, but this GitHub server does not say which run that is", start.what());
    Failure::new(Kind::Work, "run-not-found", "Run not found", message)
        .hint("Pass a nonce, `dispatch_inputs: nonce={nonce}`, and let the workflow show it: `run-name: Build ${{ inputs.nonce }}`.")
}

fn nowhere(start: &Start) -> Failure {
    let message = format!(
        "{} was started, but no run with '{}' in its name appeared within {}",
        start.what(),
        start.nonce,
        Span(APPEARS_WITHIN.min(start.limit))
    );
    let name = match &start.trigger {
        Trigger::Workflow { .. } => "`run-name: Build ${{ inputs.nonce }}` for the input that got {nonce}".to_owned(),
        Trigger::Event(_) => format!("`run-name: Build ${{{{ github.event.client_payload.{NONCE_KEY} }}}}`"),
    };
    Failure::new(Kind::Work, "run-not-found", "Run not found", message)
        .hint(format!("Let the workflow show the nonce in its name: {name}."))
        .hint("A workflow starts by dispatch only when its file is on the companion's default branch.")
}
