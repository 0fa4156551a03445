//! Purpose: a scan by Trivy in a tool container.
//!
//! An image of the engine is handed over as a tar through the archive API: the scanner needs neither the engine's socket
//! nor a path of its host. One of a registry is read by Trivy itself, with credentials in its environment.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use super::settings::Settings;
use super::{Scanned, Source};
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::build_event::LogStream;
use crate::domain::scan::TrivyReport;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Access, Engine, EngineError, Mount};
use crate::services::registry::Existence;
use crate::services::toolbox::{Download, Finished, Tool, ToolError, Toolbox, Upload, spool};

/// The most bytes of a report.
const LARGEST_REPORT: u64 = 512 * 1024 * 1024;
const IMAGE_INSIDE: &str = "/landfall/image.tar";
const REPORT_INSIDE: &str = "/landfall/out/report.json";
const CACHE_INSIDE: &str = "/root/.cache/trivy";

/// Where the image comes from.
enum From {
    Engine,
    Registry,
}

/// Files of this scan below the runner's temporary folder, removed with the value.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed lies in the runner's temporary folder, which goes with the job.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) async fn scan(settings: &Settings, run: &Run) -> Result<Scanned, Failure> {
    let clients = Clients::new(run);
    let engine = run.unless_cancelled(clients.engine()).await??;
    let existence = clients.existence(Some(&engine), &[settings.image.registry()])?;
    let scratch = Scratch(run.temporary_path("scan"));
    std::fs::create_dir_all(&scratch.0).map_err(|error| no_space(&scratch.0, error))?;
    let mut tool = tool(settings, &existence, run).await?;
    let toolbox = Toolbox::new(&engine);
    run.unless_cancelled(toolbox.provide(&tool, |line| run.log.info(line))).await??;
    match run.unless_cancelled(origin(settings, &engine, &existence, run)).await?? {
        From::Engine => {
            let tar = scratch.0.join("image.tar");
            let bytes = run.unless_cancelled(saved(&engine, &settings.image.to_string(), &tar)).await??;
            run.log.info(format!("the image comes from the engine, {} MB", bytes / 1_000_000));
            tool.uploads.push(Upload::path(IMAGE_INSIDE, &tar));
            tool.command.extend(["--input".to_owned(), IMAGE_INSIDE.to_owned()]);
        }
        From::Registry => {
            run.log.info("the image comes from its registry");
            let login = run.unless_cancelled(existence.login(settings.image.registry())).await??;
            if let Some(login) = login {
                tool.environment.insert("TRIVY_USERNAME".into(), login.username);
                tool.secrets.insert("TRIVY_PASSWORD".into(), login.password);
            }
            tool.command.extend(settings.platform.iter().map(|platform| format!("--platform={platform}")));
            tool.command.push(settings.image.to_string());
        }
    }
    tool.uploads.push(Upload::folder("/landfall/out"));
    let report = scratch.0.join("report.json");
    tool.downloads.push(Download::optional(REPORT_INSIDE, &report, LARGEST_REPORT));
    let print = |_: LogStream, line: &str| run.log.foreign(line);
    let finished = toolbox.run(&tool, run.cancel.cancelled(), print).await;
    let finished = finished.map_err(|error| not_run(error, settings))?;
    judged(settings, &finished)?;
    read(settings, &report, run)
}

/// The tool without the image.
async fn tool(settings: &Settings, existence: &Existence, run: &Run) -> Result<Tool, Failure> {
    let seconds = settings.limit.as_secs();
    let command = [
        "image".to_owned(),
        "--no-progress".to_owned(),
        "--scanners=vuln".to_owned(),
        "--format=json".to_owned(),
        "--exit-code=0".to_owned(),
        format!("--timeout={seconds}s"),
        format!("--output={REPORT_INSIDE}"),
    ];
    let mut tool = Tool::new(&settings.scanner_image, command);
    // The gate judges by itself: an ignore file or a config that the image brings along has no say.
    tool.working_directory = Some("/landfall".to_owned());
    tool.environment.extend(settings.scanner_env.clone());
    tool.limit = Some(settings.limit);
    if let Some(volume) = &settings.cache_volume {
        tool.mounts.push(Mount { source: volume.clone(), target: CACHE_INSIDE.to_owned(), access: Access::Write });
    }
    let host = settings.scanner_image.parse::<crate::domain::reference::ImageRef>().ok();
    if let Some(host) = host {
        tool.login = run.unless_cancelled(existence.login(host.registry())).await??;
    }
    Ok(tool)
}

/// A registry on the loopback is another one inside of a container, so that the engine has to fetch such an image.
async fn origin(settings: &Settings, engine: &Engine, existence: &Existence, run: &Run) -> Result<From, Failure> {
    let image = settings.image.to_string();
    let is_local = ["localhost", "127.0.0.1", "[::1]"].iter().any(|name| settings.image.registry().starts_with(name));
    let is_there = || async { Ok::<_, EngineError>(engine.image(&image).await?.is_some()) };
    match settings.source {
        Source::Engine => Ok(From::Engine),
        Source::Registry if !is_local => Ok(From::Registry),
        Source::Auto if is_there().await? => Ok(From::Engine),
        Source::Auto | Source::Registry if is_local => {
            let login = existence.login(settings.image.registry()).await?;
            run.log.info(format!("pulling {image}"));
            engine.pull(&image, None, login.as_ref(), |_| ()).await?;
            Ok(From::Engine)
        }
        Source::Auto | Source::Registry => Ok(From::Registry),
    }
}

/// Saves an image to a file; its length.
async fn saved(engine: &Engine, image: &str, path: &Path) -> Result<u64, Failure> {
    if engine.image(image).await?.is_none() {
        return Err(EngineError::NotFound { object: format!("image {image}") }.into());
    }
    let stream = futures_util::StreamExt::map(engine.save(&[image]), |piece| piece.map_err(Failure::from));
    spool(stream, path, |error| no_space(path, error)).await
}

fn no_space(path: &Path, error: std::io::Error) -> Failure {
    Failure::new(Kind::Work, "disk", "No scan result", format!("{} cannot be written", path.display()))
        .hint("A copy of the image is needed for the scan; check the free space of the runner.")
        .caused_by(error)
}

/// Trivy's exit code is 0 whatever it finds: everything else is a failure of its own.
fn judged(settings: &Settings, finished: &Finished) -> Result<(), Failure> {
    if finished.code == 0 && finished.has(REPORT_INSIDE) {
        return Ok(());
    }
    // Before it fails Trivy tells on the same stream what it does (`Downloading vulnerability DB`):
    // what counts begins with what it calls fatal.
    let loud = |line: &String| ["FATAL", "ERROR"].iter().any(|word| line.contains(word));
    let fatal = finished.tail.iter().position(loud);
    let words = fatal.map(|at| finished.tail[at..].join("\n").to_lowercase()).unwrap_or_default();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| words.contains(phrase));
    let failure = |reason, said: &str| {
        Failure::new(Kind::Work, reason, "No scan result", format!("{} was not scanned: {said}", settings.image))
    };
    let failure = if finished.out_of_memory {
        failure("scanner-out-of-memory", "the scanner ran out of memory").hint("Use a runner with more memory.")
    } else if says(&["vulnerability db", "trivy-db", "java db", "db error", "database"]) {
        failure("scanner-no-database", "the scanner has no vulnerability database")
            .hint("The scanner loads it from a registry: check the network, or set `scanner_env: TRIVY_DB_REPOSITORY=<mirror>`.")
            .hint("`cache_volume` keeps it between runs of the same machine.")
    } else if says(&["context deadline exceeded", "timeout"]) {
        failure("timeout", "the scanner ran out of time").hint("Raise `timeout`.")
    } else if says(&["unauthorized", "authentication required", "denied"]) {
        failure("registry-forbidden", "the registry does not let the scanner read it")
            .hint("Set `registry_username` and `registry_password`, or pull the image first and set `source: engine`.")
    } else if says(&["unsupported", "unable to open", "unrecognized", "unknown media type", "not a valid"]) {
        failure("scan-unsupported", "the scanner cannot read such an image")
            .hint("Scan one platform's image, not an index; artifacts that are no images cannot be scanned.")
    } else if finished.code == 0 {
        failure("scan-no-result", "the scanner ended well and left no report")
            .hint("Is `scanner_image` an image of Trivy?")
    } else {
        failure("scanner-failed", &format!("the scanner ended with exit code {}", finished.code))
    };
    let any = |line: &&String| !line.trim().is_empty();
    let last = fatal.and_then(|at| finished.tail.get(at)).or_else(|| finished.tail.iter().rev().find(any));
    Err(match last {
        Some(line) => failure.hint(format!("Its last words: {}", line.trim())),
        None => failure.hint("It said nothing."),
    })
}

/// Reads the report while it is parsed: what is not needed of it is never held.
fn read(settings: &Settings, path: &Path, run: &Run) -> Result<Scanned, Failure> {
    let unreadable = |cause: Box<dyn std::error::Error + Send + Sync>| {
        let message = format!("{} was not scanned: the scanner's report cannot be read", settings.image);
        let mut failure = Failure::new(Kind::Work, "scan-no-result", "No scan result", message)
            .hint("Is `scanner_image` an image of Trivy, from version 0.20 on?");
        failure.source = Some(cause);
        failure
    };
    let file = File::open(path).map_err(|error| unreadable(error.into()))?;
    let report: TrivyReport =
        serde_json::from_reader(BufReader::new(file)).map_err(|error| unreadable(error.into()))?;
    if report.schema_version != Some(2) {
        let version = report.schema_version.map_or("none".to_owned(), |version| version.to_string());
        return Err(unreadable(format!("its form has the version {version}, not 2").into()));
    }
    let scan = report.scan();
    if !scan.examined && !settings.allow_unexamined {
        let message =
            format!("{} was not scanned: the scanner knows neither its system nor any package in it", settings.image);
        return Err(Failure::new(Kind::Work, "scan-unsupported", "No scan result", message)
            .hint("For an image that is a single static binary set `allow_unexamined: true`; its own build has to be scanned then."));
    }
    if scan.end_of_life {
        let system = scan.system.as_deref().unwrap_or("its system");
        run.log.warn("End of life", format!("{system} gets no more security updates: what is new is not found in it"));
    }
    let version = settings.scanner_image.rsplit(['@', ':']).next().unwrap_or_default().to_owned();
    Ok(Scanned { scan, tool: "Trivy", version })
}

fn not_run(error: ToolError, settings: &Settings) -> Failure {
    match error {
        ToolError::Cancelled => Failure::cancelled(),
        ToolError::TimedOut { .. } => super::late(settings, ""),
        error => error.into(),
    }
}
