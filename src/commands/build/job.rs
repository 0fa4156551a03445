//! Purpose: one build's dealings with its builder: what is asked, what the log says of it, and when it is asked again.

use std::time::Duration;

use tokio::sync::mpsc;

use super::options::Context;
use super::plan::{Origin, Plan, refused};
use super::source::Tree;
use super::summary::Report;
use crate::commands::run::Run;
use crate::domain::build_event::{BuildEvent, BuildWarning, SourceLocation};
use crate::domain::build_log::{BuildLog, BuildSummary, LogAction};
use crate::domain::builder::{Abilities, Wish};
use crate::runner::{Annotation, Failure};
use crate::services::Classified as _;
use crate::services::buildkit::{
    ArchiveSink, BuildError, BuildRequest, BuildSecret, Builder, Built, CacheUse, Dockerfile, LocalSource, Logins,
    Output, Pull, SecretValue, Source,
};

/// After so much silence of the builder the log tells what it held back.
const SILENCE: Duration = Duration::from_secs(2);
/// Lines of a failing step that the summary shows.
const SHOWN_LINES: usize = 40;
/// Wait before the second try; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// A build with everything that it takes.
pub(super) struct Job<'a> {
    pub(super) plan: &'a Plan,
    pub(super) run: &'a Run,
    pub(super) tree: &'a Tree,
    pub(super) logins: &'a Logins,
    pub(super) builder: &'a Builder,
    pub(super) abilities: Abilities,
}

/// What one solve is to do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    /// Where the result goes.
    pub(super) output: Output,
    /// Which platforms; none is the builder's own.
    pub(super) platforms: Vec<String>,
    /// Which part of the whole it is.
    pub(super) part: Part,
}

/// Which part of the whole work a solve is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The steps themselves.
    Build,
    /// Only the way of the result: the steps have run already, and are in the cache.
    Export,
}

impl Job<'_> {
    /// What the build would be better with and this builder does not do. Nobody should find out from the image.
    pub(super) fn tell_what_is_not_granted(&self) {
        let (abilities, log) = (self.abilities, &self.run.log);
        if !abilities.grants(Wish::Created) {
            log.info(format!(
                "`created` of the image will be the time of the build, not of the commit: {abilities} cannot set it (Docker Engine 24.0 can)"
            ));
        }
        if self.plan.settings.shm_size.is_some() && !abilities.grants(Wish::ShmSize) {
            log.warn(
                "Size of /dev/shm unchanged",
                format!("`shm_size` has no effect: {abilities} does not know it (Docker Engine 23.0 does)"),
            );
        }
    }

    /// Has it done, again when a registry or the way to it failed: what was built is in the cache then.
    pub(super) async fn solve(
        &self,
        order: &Order,
        sink: Option<ArchiveSink>,
        report: &mut Report,
    ) -> Result<Built, Failure> {
        let mut request = self.request(order);
        let attempts = if sink.is_some() { 1 } else { self.plan.settings.attempts };
        let mut wait = FIRST_WAIT;
        for attempt in 1..=attempts {
            let error = match self.once(&request, order.part, sink.clone(), report).await? {
                Ok(built) => return Ok(built),
                Err(error) => error,
            };
            if !error.class().is_transient() || attempt == attempts {
                return Err(self.failure(error, report));
            }
            let why = Failure::from(error).explained();
            let seconds = wait.as_secs();
            self.run.log.info(format!("Try {attempt} of {attempts} failed: {why}. The next begins in {seconds} s."));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(Duration::from_secs(60));
            if order.part == Part::Export {
                request.cache = CacheUse::All;
            }
        }
        Err(Failure::input("attempts is 0", "Give at least 1."))
    }

    /// One try. The outer error is a gate's.
    async fn once(
        &self,
        request: &BuildRequest,
        part: Part,
        sink: Option<ArchiveSink>,
        report: &mut Report,
    ) -> Result<Result<Built, BuildError>, Failure> {
        let (sender, mut events) = mpsc::channel(256);
        let mut log = Printer { log: BuildLog::default(), job: self, warnings: 0 };
        let result = {
            let build = async {
                match sink {
                    Some(sink) => self.builder.build_archive(request, self.logins, sink, sender).await,
                    None => self.builder.build(request, self.logins, sender).await,
                }
            };
            tokio::pin!(build);
            loop {
                tokio::select! {
                    Some(event) = events.recv() => {
                        // The checks come before the first step; with `lint` no step need run in vain.
                        if part == Part::Build && self.plan.settings.lint && log.warnings > 0 && is_step(&event) {
                            break None;
                        }
                        log.take(&event);
                    }
                    result = &mut build => break Some(result),
                    // Anew in each turn: it ends only when nothing else happens meanwhile.
                    () = tokio::time::sleep(SILENCE) => log.idle(),
                }
            }
        };
        while let Ok(event) = events.try_recv() {
            if result.is_some() {
                log.take(&event);
            }
        }
        let (summary, warnings) = log.finish();
        if part == Part::Build {
            report.build = summary;
            if self.plan.settings.lint && warnings > 0 {
                return Err(lint(warnings));
            }
        }
        result.ok_or_else(|| lint(warnings))
    }

    fn failure(&self, error: BuildError, report: &mut Report) -> Failure {
        if let Some(vertex) = error.vertex() {
            report.last_lines = vertex.last_lines.iter().rev().take(SHOWN_LINES).rev().cloned().collect();
        }
        let location = error.location().cloned();
        let failure = Failure::from(error);
        match location {
            Some(location) => self.placed(failure, &location),
            None => failure,
        }
    }

    /// Attaches a failure to its line, which an annotation can only show when the file is one of this repository.
    fn placed(&self, failure: Failure, location: &SourceLocation) -> Failure {
        let (file, line) = in_source(self.plan, location);
        match (&self.plan.origin, &self.plan.settings.context) {
            (Origin::Workspace { .. }, Context::Folder(_)) => failure.at(file, line),
            (Origin::Workspace { .. }, Context::Url(url)) => {
                failure.hint(format!("It is line {line} of {file} in {url}."))
            }
            (Origin::Commit { repository, .. }, _) => {
                failure.hint(format!("It is line {line} of {file} in {repository}."))
            }
        }
    }

    fn request(&self, order: &Order) -> BuildRequest {
        let (plan, settings) = (self.plan, &self.plan.settings);
        let mut request = match &settings.context {
            Context::Folder(folder) => BuildRequest::new(LocalSource::new(self.tree.root().join(folder))),
            Context::Url(url) => BuildRequest::new(Source::Remote(url.clone())),
        };
        request.dockerfile = Dockerfile::InContext(settings.file.clone());
        request.contexts.clone_from(&settings.contexts);
        request.target.clone_from(&settings.target);
        request.build_args = settings.build_args.iter().cloned().collect();
        // Timestamps of the image are the commit's, so that the same commit gives the same image.
        request.build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| plan.epoch.to_string());
        request.labels = plan.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        request.secrets.clone_from(&settings.secrets);
        request.secrets.extend(self.git_secrets());
        request.ssh.clone_from(&settings.ssh);
        request.add_hosts.clone_from(&settings.add_hosts);
        request.network = settings.network;
        request.shm_size = settings.shm_size;
        request.cache_from.clone_from(&settings.cache_from);
        request.platforms.clone_from(&order.platforms);
        request.output = order.output.clone();
        match order.part {
            Part::Build => {
                request.cache = settings.cache.clone();
                request.pull = settings.pull;
            }
            // What was built a moment ago is not built again.
            Part::Export => (request.cache, request.pull) = (CacheUse::All, Pull::IfMissing),
        }
        if order.output != Output::Archive {
            request.annotations.clone_from(&settings.annotations);
            request.attestations.clone_from(&settings.attestations);
            request.cache_to.clone_from(&settings.cache_to);
        }
        request
    }

    /// The token with which a builder may fetch a private context, for this GitHub server alone.
    fn git_secrets(&self) -> Vec<BuildSecret> {
        let Context::Url(url) = &self.plan.settings.context else {
            return Vec::new();
        };
        let server = self.run.github.server_url.trim_start_matches("https://").trim_end_matches('/');
        let host = url.strip_prefix("https://").and_then(|rest| rest.split('/').next());
        let token = self.plan.settings.source_token.clone().or_else(|| self.run.github_token());
        let (Some(host), Some(token)) = (host.filter(|host| *host == server), token) else {
            return Vec::new();
        };
        // Older builders know only the name without a host; they send it to the host of the context alone as well.
        let ids = [format!("GIT_AUTH_TOKEN.{host}"), "GIT_AUTH_TOKEN".to_owned()];
        ids.into_iter().map(|id| BuildSecret { id, value: SecretValue::Text(token.clone()) }).collect()
    }
}

fn lint(warnings: usize) -> Failure {
    refused(
        "lint",
        "Dockerfile checks",
        match warnings {
            1 => "the Dockerfile's checks found a problem".to_owned(),
            count => format!("the Dockerfile's checks found {count} problems"),
        },
    )
    .hint("What they found is a warning on its line; unset `lint` to let it pass.")
}

/// Whether an event is the beginning of an instruction's work.
fn is_step(event: &BuildEvent) -> bool {
    match event {
        BuildEvent::Started { name, .. } => {
            name.starts_with('[') && !name.starts_with("[internal]") && !name.starts_with("[auth]")
        }
        _ => false,
    }
}

/// The builder knows the Dockerfile by its path within the context; people know it by its path within the source.
fn in_source(plan: &Plan, location: &SourceLocation) -> (String, u32) {
    let Context::Folder(context) = &plan.settings.context else {
        return (location.file.clone(), location.first_line);
    };
    let file = context.join(&location.file);
    (file.strip_prefix(".").unwrap_or(&file).display().to_string(), location.first_line)
}

/// Prints what the build's log says.
struct Printer<'a> {
    log: BuildLog,
    job: &'a Job<'a>,
    warnings: usize,
}

impl Printer<'_> {
    fn take(&mut self, event: &BuildEvent) {
        for action in self.log.event(event) {
            self.print(action);
        }
    }

    fn idle(&mut self) {
        for action in self.log.idle() {
            self.print(action);
        }
    }

    fn finish(mut self) -> (BuildSummary, usize) {
        for action in self.log.finish() {
            self.print(action);
        }
        (self.log.summary(), self.warnings)
    }

    fn print(&mut self, action: LogAction) {
        let log = &self.job.run.log;
        match action {
            LogAction::OpenGroup(title) => log.open_group(&title),
            LogAction::CloseGroup => log.end_group(),
            LogAction::Note(line) => log.info(line),
            LogAction::Foreign(line) => log.foreign(line),
            LogAction::Warning(warning) => {
                self.warnings += 1;
                log.warning(&annotation(warning, self.job.plan));
            }
        }
    }
}

fn annotation(warning: BuildWarning, plan: &Plan) -> Annotation {
    let mut message = warning.short;
    for line in &warning.detail {
        message.push('\n');
        message.push_str(line);
    }
    if let Some(url) = &warning.url {
        message.push('\n');
        message.push_str(url);
    }
    let here = matches!((&plan.origin, &plan.settings.context), (Origin::Workspace { .. }, Context::Folder(_)));
    let location = warning.location.filter(|_| here).map(|location| in_source(plan, &location));
    Annotation { title: "Dockerfile".to_owned(), message, location }
}
