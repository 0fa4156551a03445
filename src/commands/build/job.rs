//! Purpose: one build's dealings with its builder: what is asked, what the log says of it, and when it is asked again.

use std::time::Duration;

use tokio::sync::mpsc;

use super::options::Context;
use super::plan::{Origin, Plan, refused};
use super::printer::Printer;
use super::source::Tree;
use super::summary::Report;
use crate::commands::run::Run;
use crate::domain::build_event::{BuildEvent, SourceLocation};
use crate::domain::builder::{Abilities, Wish};
use crate::runner::Failure;
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
/// The longest of these waits.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

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

/// A build that failed, and for which platform when it was one of several.
struct Unbuilt {
    platform: Option<String>,
    error: BuildError,
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
        // An archive that broke off cannot be taken back.
        let attempts = if sink.is_some() { 1 } else { self.plan.settings.attempts };
        let built = self.tries(std::slice::from_ref(order), attempts, sink, report).await?;
        built.into_iter().next().ok_or_else(|| Failure::input("nothing was to be built", "Give at least one platform."))
    }

    /// Has several done side by side; when one fails, the others are given up.
    pub(super) async fn solve_each(&self, orders: &[Order], report: &mut Report) -> Result<Vec<Built>, Failure> {
        self.tries(orders, self.plan.settings.attempts, None, report).await
    }

    async fn tries(
        &self,
        orders: &[Order],
        attempts: usize,
        sink: Option<ArchiveSink>,
        report: &mut Report,
    ) -> Result<Vec<Built>, Failure> {
        let requests: Vec<BuildRequest> = orders.iter().map(|order| self.request(order)).collect();
        let part = orders.first().map_or(Part::Build, |order| order.part);
        let mut wait = FIRST_WAIT;
        for attempt in 1..=attempts {
            let unbuilt = match self.once(&requests, part, sink.clone(), report).await? {
                Ok(built) => return Ok(built),
                Err(unbuilt) => unbuilt,
            };
            if !unbuilt.error.class().is_transient() || attempt == attempts {
                return Err(self.failure(unbuilt, report));
            }
            let why = Failure::from(unbuilt.error).explained();
            let seconds = wait.as_secs();
            self.run.log.info(format!("Try {attempt} of {attempts} failed: {why}. The next begins in {seconds} s."));
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        Err(Failure::input("attempts is 0", "Give at least 1."))
    }

    /// One try. The outer error is a gate's.
    async fn once(
        &self,
        requests: &[BuildRequest],
        part: Part,
        sink: Option<ArchiveSink>,
        report: &mut Report,
    ) -> Result<Result<Vec<Built>, Unbuilt>, Failure> {
        let (sender, mut events) = mpsc::channel(256);
        let mut log = Printer::new(self);
        let result = {
            let build = self.all(requests, sink, sender);
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

    /// All requests side by side, told as one build.
    async fn all(
        &self,
        requests: &[BuildRequest],
        sink: Option<ArchiveSink>,
        sender: mpsc::Sender<BuildEvent>,
    ) -> Result<Vec<Built>, Unbuilt> {
        if let [request] = requests {
            let built = match sink {
                Some(sink) => self.builder.build_archive(request, self.logins, sink, sender).await,
                None => self.builder.build(request, self.logins, sender).await,
            };
            return built.map(|built| vec![built]).map_err(|error| Unbuilt { platform: None, error });
        }
        futures_util::future::try_join_all(requests.iter().map(|request| {
            let (platform, sender) = (request.platforms.join(","), sender.clone());
            async move {
                let (own, mut events) = mpsc::channel::<BuildEvent>(64);
                let tell = async {
                    while let Some(event) = events.recv().await {
                        // Nobody has to listen.
                        let _ = sender.send(event.of_platform(&platform)).await;
                    }
                };
                let (built, ()) = tokio::join!(self.builder.build(request, self.logins, own), tell);
                built.map_err(|error| Unbuilt { platform: Some(platform), error })
            }
        }))
        .await
    }

    fn failure(&self, Unbuilt { platform, error }: Unbuilt, report: &mut Report) -> Failure {
        if let Some(vertex) = error.vertex() {
            report.last_lines = vertex.last_lines.iter().rev().take(SHOWN_LINES).rev().cloned().collect();
        }
        let location = error.location().cloned();
        let mut failure = Failure::from(error);
        if let Some(platform) = platform {
            failure = failure.hint(format!("It failed for {platform}; the other platforms were given up."));
        }
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
pub(super) fn in_source(plan: &Plan, location: &SourceLocation) -> (String, u32) {
    let Context::Folder(context) = &plan.settings.context else {
        return (location.file.clone(), location.first_line);
    };
    let file = context.join(&location.file);
    (file.strip_prefix(".").unwrap_or(&file).display().to_string(), location.first_line)
}
