//! Purpose: the inputs of `scan`, checked together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{Inputs, SCANNER_IMAGE, Scanner, Source};
use crate::commands::run::Run;
use crate::contract::values::{Flag, List};
use crate::domain::reference::{ImageRef, RegistryKind};
use crate::domain::scan::{Gate, IgnoreList, Severity, Unfixed};
use crate::runner::{Failure, Problems};

/// Time for a whole scan unless given.
const USUAL_LIMIT: Duration = Duration::from_secs(900);
/// The largest ignore file.
const LARGEST_IGNORE_FILE: u64 = 4 * 1024 * 1024;
/// What Trivy reads by itself.
const USUAL_IGNORE_FILES: [&str; 3] = [".trivyignore", ".trivyignore.yaml", ".trivyignore.yml"];

/// What a scan needs.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) image: ImageRef,
    pub(super) scanner: Scanner,
    pub(super) source: Source,
    pub(super) scanner_image: String,
    pub(super) platform: Option<String>,
    pub(super) scanner_env: BTreeMap<String, String>,
    pub(super) cache_volume: Option<String>,
    pub(super) allow_unexamined: bool,
    pub(super) gate: Gate,
    /// Where the accepted findings stand, for people.
    pub(super) ignore_file: Option<String>,
    pub(super) sarif: Option<Target>,
    pub(super) report: Option<Target>,
    pub(super) max_age: Duration,
    pub(super) interval: Duration,
    pub(super) limit: Duration,
}

/// A file to be written.
#[derive(Debug)]
pub(super) struct Target {
    /// As it was given, relative to the workspace: what a later step of the job, outside of our container, can use.
    pub(super) given: String,
    /// Where it is for us.
    pub(super) path: PathBuf,
}

impl Settings {
    pub(super) fn read(inputs: &Inputs, run: &Run) -> Result<Self, Failure> {
        let mut problems = Problems::default();
        let image = problems.required("image", inputs.image.as_ref());
        let image = image.and_then(|text| problems.check("image", text.parse::<ImageRef>()));
        let scanner = inputs.provider.unwrap_or_default();
        if let Some(image) = image.as_ref().filter(|_| scanner == Scanner::Ecr)
            && !matches!(image.name().kind(), RegistryKind::Ecr { .. })
            && !is_test_registry(image)
        {
            problems.add("provider", format!("is ecr, but {image} does not lie in ECR"));
        }
        let severities = severities(inputs, &mut problems);
        let (ignore_file, ignore) = ignore(inputs, run, &mut problems);
        for (name, path) in [("sarif", &inputs.sarif), ("report", &inputs.report)] {
            if let Some(path) = path
                && run.workspace().join(path).is_dir()
            {
                problems.add(name, format!("is '{path}', which is a folder"));
            }
        }
        let scanner_image = inputs.scanner_image.clone().unwrap_or_else(|| SCANNER_IMAGE.to_owned());
        problems.check("scanner_image", scanner_image.parse::<ImageRef>());
        problems.into_result()?;
        let Some(image) = image else {
            return Err(Failure::input("image is required and not set", "Set `image`."));
        };
        if inputs.scanner_image.is_some() && !scanner_image.contains("@sha256:") {
            run.log.warn(
                "Scanner not pinned",
                format!(
                    "scanner_image is {scanner_image}: whoever may move that tag decides what runs here; add its digest"
                ),
            );
        }
        let at = |path: &Option<String>| {
            path.as_ref().map(|path| Target { given: path.clone(), path: run.workspace().join(path) })
        };
        let today = run.clock.now().to_zoned(jiff::tz::TimeZone::UTC).date();
        let unfixed = if inputs.ignore_unfixed == Some(Flag(true)) { Unfixed::Passes } else { Unfixed::Counts };
        Ok(Self {
            image,
            scanner,
            source: inputs.source.unwrap_or_default(),
            scanner_image,
            platform: inputs.platform.clone(),
            scanner_env: inputs.scanner_env.0.iter().cloned().collect(),
            cache_volume: inputs.cache_volume.clone(),
            allow_unexamined: inputs.allow_unexamined == Some(Flag(true)),
            gate: Gate { severities, unfixed, ignore, today },
            ignore_file,
            sarif: at(&inputs.sarif),
            report: at(&inputs.report),
            max_age: inputs.max_age.map_or(Duration::from_secs(24 * 3600), |age| age.0),
            interval: inputs.poll_interval.map_or(Duration::from_secs(5), |interval| interval.0.max(SHORTEST)),
            limit: inputs.timeout.map_or(USUAL_LIMIT, |limit| limit.0),
        })
    }

    /// What is going to be done, one step per line.
    pub(super) fn steps(&self) -> Vec<String> {
        let who = match self.scanner {
            Scanner::Trivy => format!("Trivy ({})", self.scanner_image),
            Scanner::Ecr => "ECR's own scanner".to_owned(),
        };
        let severities: Vec<&str> = self.gate.severities.iter().map(|severity| severity.word()).collect();
        let unfixed = match self.gate.unfixed {
            Unfixed::Passes => ", when there is a fix",
            Unfixed::Counts => "",
        };
        let mut steps = vec![
            format!("scan {} by {who}", self.image),
            format!("stop it for findings of {}{unfixed}", severities.join(" or ")),
        ];
        steps.extend(self.ignore_file.as_ref().map(|file| format!("accept what {file} accepts")));
        steps.extend(self.sarif.as_ref().map(|target| format!("write SARIF to {}", target.given)));
        steps.extend(self.report.as_ref().map(|target| format!("write the report to {}", target.given)));
        steps
    }
}

const SHORTEST: Duration = Duration::from_millis(50);

/// An emulator of ECR listens on the loopback.
fn is_test_registry(image: &ImageRef) -> bool {
    let host = image.registry();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name == "localhost" || name == "127.0.0.1"
}

fn severities(inputs: &Inputs, problems: &mut Problems) -> Vec<Severity> {
    let List(words) = &inputs.severity;
    if words.is_empty() {
        return vec![Severity::Critical, Severity::High];
    }
    let read = words.iter().filter_map(|word| {
        let severity = word.parse::<Severity>().map_err(|error| format!("has an entry that cannot be used: {error}"));
        problems.check("severity", severity)
    });
    read.collect()
}

fn ignore(inputs: &Inputs, run: &Run, problems: &mut Problems) -> (Option<String>, IgnoreList) {
    let usual = || USUAL_IGNORE_FILES.iter().find(|name| run.workspace().join(name).is_file());
    let Some(name) = inputs.ignore_file.clone().or_else(|| usual().map(|&name| name.to_owned())) else {
        return (None, IgnoreList::default());
    };
    let path = run.workspace().join(&name);
    let text = match std::fs::metadata(&path) {
        Ok(found) if found.len() > LARGEST_IGNORE_FILE => Err("is larger than 4 MiB".to_owned()),
        Ok(_) => std::fs::read_to_string(&path).map_err(|error| format!("cannot be read: {error}")),
        Err(error) => Err(format!("cannot be read: {error}")),
    };
    let list = match text {
        Ok(text) if name.ends_with(".yaml") || name.ends_with(".yml") => IgnoreList::yaml(&text),
        Ok(text) => IgnoreList::lines(&text),
        Err(said) => {
            problems.add("ignore_file", format!("{name} {said}"));
            return (Some(name), IgnoreList::default());
        }
    };
    match list {
        Ok(list) => (Some(name), list),
        Err(errors) => {
            for error in errors {
                problems.add("ignore_file", format!("{name}, {error}"));
            }
            (Some(name), IgnoreList::default())
        }
    }
}
