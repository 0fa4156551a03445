//! Purpose: doing a build plan, phase by phase.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Outputs;
use super::plan::{Origin, Plan, Present, refused};
use super::push::push;
use super::source::Tree;
use super::summary::{Report, human, section};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::contract::values::Count;
use crate::domain::build_event::{BuildEvent, BuildWarning, SourceLocation};
use crate::domain::build_log::{BuildLog, LogAction};
use crate::domain::builder::{Abilities, Wish};
use crate::domain::reference::ImageRef;
use crate::runner::{Annotation, Failure, Kind};
use crate::services::buildkit::{BuildRequest, Builder, Built, Dockerfile, LocalSource, Logins, Output};
use crate::services::engine::{Image, OneShot};

/// After so much silence of the builder the log tells what it held back.
const SILENCE: Duration = Duration::from_secs(2);
/// Lines of a failing step that the summary shows.
const SHOWN_LINES: usize = 40;

pub(super) async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
    if let Some(present) = &plan.present {
        let verdict = skip(present, run, outputs);
        run.summary.section(section(&plan, &Report::default(), outputs));
        return Ok(verdict);
    }
    let mut report = Report::default();
    let result =
        run.unless_cancelled(Box::pin(phases(&plan, run, outputs, &mut report))).await.and_then(|result| result);
    run.summary.section(section(&plan, &report, outputs));
    result.map(|()| Verdict::Success(if plan.settings.push { "pushed" } else { "built" }))
}

fn skip(present: &Present, run: &Run, outputs: &mut Outputs) -> Verdict {
    run.log.info(format!("{} is in the registry already: {}", present.image, present.digest));
    outputs.skipped = Some(true);
    outputs.digest = Some(present.digest.to_string());
    outputs.image_ref = Some(present.image.name().with_digest(present.digest.clone()).to_string());
    Verdict::Skipped("image-exists")
}

async fn phases(plan: &Plan, run: &Run, outputs: &mut Outputs, report: &mut Report) -> Result<(), Failure> {
    outputs.skipped = Some(false);
    let tree = Tree::prepare(plan, run).await?;
    let logins = logins(plan).await?;
    let began = Instant::now();
    let built = build(plan, run, &tree, &logins, report).await?;
    outputs.seconds = Some(Count(began.elapsed().as_secs()));
    drop(tree);

    let image = image(plan, &built).await?;
    outputs.image_id = Some(image.id.clone());
    outputs.size = Some(Count(image.size));
    outputs.platforms = vec![image.platform.clone()];
    outputs.metadata = serde_json::to_value(&built.response).ok();
    smoke(plan, run, &image).await?;
    size(plan, &image)?;
    if plan.settings.push || plan.settings.load {
        for tag in &plan.settings.tags {
            plan.engine.tag(&image.id, &tag.to_string()).await?;
        }
    }
    if !plan.settings.push {
        outputs.digest = built.manifest_digest.map(|digest| digest.to_string());
        return Ok(());
    }
    let pushed = push(plan, run, &logins, report).await;
    if !plan.settings.load {
        for tag in &plan.settings.tags {
            let untagged = plan.engine.untag(&tag.to_string()).await;
            // A push that failed is the failure to tell of.
            if pushed.is_ok() {
                untagged?;
            }
        }
    }
    let digest = pushed?;
    outputs.image_ref = plan.settings.tags.first().map(|tag| tag.name().with_digest(digest.clone()).to_string());
    outputs.digest = Some(digest.to_string());
    Ok(())
}

/// Registries that Dockerfiles take base images from, beside those that the image goes to.
const BASE_REGISTRIES: [&str; 2] = ["docker.io", "ghcr.io"];

/// Logins for what is pushed must be there; those for base images may be, because most are public.
async fn logins(plan: &Plan) -> Result<Logins, Failure> {
    let mut logins = Logins::none();
    for host in plan.settings.tags.iter().map(ImageRef::registry).filter(|_| plan.settings.push) {
        if let Some(login) = Box::pin(plan.existence.login(host)).await? {
            logins = logins.with(host, login);
        }
    }
    for host in BASE_REGISTRIES {
        if let Ok(Some(login)) = Box::pin(plan.existence.login(host)).await {
            logins = logins.with(host, login);
        }
    }
    Ok(logins)
}

async fn build(plan: &Plan, run: &Run, tree: &Tree, logins: &Logins, report: &mut Report) -> Result<Built, Failure> {
    let request = request(plan, tree);
    let (sender, mut events) = mpsc::channel(256);
    let builder = Builder::for_engine(&plan.engine);
    tell_what_is_not_granted(builder.abilities().await?, plan, run);
    let build = builder.build(&request, logins, sender);
    tokio::pin!(build);
    let mut log = Printer { log: BuildLog::default(), plan, run, warnings: 0 };
    let result = loop {
        tokio::select! {
            Some(event) = events.recv() => log.take(&event),
            result = &mut build => break result,
            // Anew in each turn: it ends only when nothing else happens meanwhile.
            () = tokio::time::sleep(SILENCE) => log.idle(),
        }
    };
    while let Ok(event) = events.try_recv() {
        log.take(&event);
    }
    report.build = log.finish();
    match result {
        Ok(_) if plan.settings.lint && log.warnings > 0 => Err(refused(
            "lint",
            "Dockerfile checks",
            match log.warnings {
                1 => "the Dockerfile's checks found a problem".to_owned(),
                count => format!("the Dockerfile's checks found {count} problems"),
            },
        )
        .hint("What they found is a warning on its line; unset `lint` to let it pass.")),
        Ok(built) => Ok(built),
        Err(error) => {
            if let Some(vertex) = error.vertex() {
                report.last_lines = vertex.last_lines.iter().rev().take(SHOWN_LINES).rev().cloned().collect();
            }
            let location = error.location().cloned();
            let failure = Failure::from(error);
            Err(match location {
                Some(location) => placed(failure, plan, &location),
                None => failure,
            })
        }
    }
}

/// What the build would be better with and this builder does not do. Nobody should find out from the image.
fn tell_what_is_not_granted(abilities: Abilities, plan: &Plan, run: &Run) {
    if !abilities.grants(Wish::Created) {
        run.log.info(format!(
            "`created` of the image will be the time of the build, not of the commit: {abilities} cannot set it (Docker Engine 24.0 can)"
        ));
    }
    if plan.settings.shm_size.is_some() && !abilities.grants(Wish::ShmSize) {
        run.log.warn(
            "Size of /dev/shm unchanged",
            format!("`shm_size` has no effect: {abilities} does not know it (Docker Engine 23.0 does)"),
        );
    }
}

/// Attaches a failure to its line, which an annotation can only show when the file is one of this repository.
fn placed(failure: Failure, plan: &Plan, location: &SourceLocation) -> Failure {
    let (file, line) = in_source(plan, location);
    match &plan.origin {
        Origin::Workspace { .. } => failure.at(file, line),
        Origin::Commit { repository, .. } => failure.hint(format!("It is line {line} of {file} in {repository}.")),
    }
}

/// The builder knows the Dockerfile by its path within the context; people know it by its path within the source.
fn in_source(plan: &Plan, location: &SourceLocation) -> (String, u32) {
    let file = plan.settings.context.join(&location.file);
    (file.strip_prefix(".").unwrap_or(&file).display().to_string(), location.first_line)
}

fn request(plan: &Plan, tree: &Tree) -> BuildRequest {
    let settings = &plan.settings;
    let mut request = BuildRequest::new(LocalSource::new(tree.root().join(&settings.context)));
    request.dockerfile = Dockerfile::InContext(settings.file.clone());
    request.target.clone_from(&settings.target);
    request.build_args = settings.build_args.iter().cloned().collect();
    // Timestamps of the image are the commit's, so that the same commit gives the same image.
    request.build_args.entry("SOURCE_DATE_EPOCH".to_owned()).or_insert_with(|| plan.epoch.to_string());
    request.labels = plan.labels.iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    request.secrets.clone_from(&settings.secrets);
    request.add_hosts.clone_from(&settings.add_hosts);
    request.network = settings.network;
    request.shm_size = settings.shm_size;
    request.cache = settings.cache.clone();
    request.pull = settings.pull;
    request.platforms = settings.platform.iter().cloned().collect();
    // The names come last, after the gates: a refused image must not carry them.
    request.output = Output::EngineStore;
    request
}

/// Prints what the build's log says.
struct Printer<'a> {
    log: BuildLog,
    plan: &'a Plan,
    run: &'a Run,
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

    fn finish(&mut self) -> crate::domain::build_log::BuildSummary {
        for action in self.log.finish() {
            self.print(action);
        }
        self.log.summary()
    }

    fn print(&mut self, action: LogAction) {
        let log = &self.run.log;
        match action {
            LogAction::OpenGroup(title) => log.open_group(&title),
            LogAction::CloseGroup => log.end_group(),
            LogAction::Note(line) => log.info(line),
            LogAction::Foreign(line) => log.foreign(line),
            LogAction::Warning(warning) => {
                self.warnings += 1;
                log.warning(&annotation(warning, self.plan));
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
    let here = matches!(plan.origin, Origin::Workspace { .. });
    let location = warning.location.filter(|_| here).map(|location| in_source(plan, &location));
    Annotation { title: "Dockerfile".to_owned(), message, location }
}

async fn image(plan: &Plan, built: &Built) -> Result<Image, Failure> {
    let lost = || {
        Failure::new(
            Kind::Work,
            "image-lost",
            "Image lost",
            "the builder reported success, but the engine has no such image",
        )
        .hint("Something removed the image right after the build; look for a prune that runs at the same time.")
    };
    let id = built.image_id.as_deref().ok_or_else(lost)?;
    plan.engine.image(id).await?.ok_or_else(lost)
}

async fn smoke(plan: &Plan, run: &Run, image: &Image) -> Result<(), Failure> {
    let Some(words) = &plan.settings.smoke else {
        return Ok(());
    };
    let shown = command_line(words);
    let group = run.log.group(format!("Smoke test: {shown}"));
    let container = OneShot { image: image.id.clone(), entrypoint: Some(words.clone()), ..OneShot::default() };
    let exit = plan
        .engine
        .run(&container, |_, bytes| {
            run.log.foreign(String::from_utf8_lossy(bytes));
        })
        .await?;
    drop(group);
    if exit.code == 0 {
        return Ok(());
    }
    let why = if exit.out_of_memory { " (out of memory)" } else { "" };
    Err(refused(
        "smoke-failed",
        "Smoke test failed",
        format!("`{shown}` ended with exit code {}{why} in the built image", exit.code),
    )
    .hint("Its output is in the log; nothing was pushed."))
}

/// The words as somebody would type them.
fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "\"'$;&|<>".contains(c)) {
            format!("'{}'", word.replace('\'', "'\\''"))
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn size(plan: &Plan, image: &Image) -> Result<(), Failure> {
    match plan.settings.max_size {
        Some(limit) if image.size > limit => {
            let message = format!("the image has {}, but max_size allows {}", human(image.size), human(limit));
            Err(refused("image-too-large", "Image too large", message).hint("Nothing was pushed."))
        }
        _ => Ok(()),
    }
}
