//! Purpose: reports and charts as files.

use std::io::{BufReader, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use crate::commands::run::Run;
use crate::domain::metrics::{Report, VERSION, durations_svg};
use crate::domain::names::RepositoryName;
use crate::runner::{Failure, Kind};

/// The largest report that is read, in bytes.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A report cannot be used. The message fits behind the file's name.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("cannot be read")]
    Unreadable(#[source] std::io::Error),
    #[error("is larger than 256 MiB")]
    TooLarge,
    #[error("is not a report of `landfall metrics`")]
    Malformed(#[source] serde_json::Error),
    #[error("has version {0} of the form; this program reads version {VERSION}")]
    Version(u32),
}

fn load(path: &Path) -> Result<Report, Unusable> {
    #[derive(serde::Deserialize)]
    struct Versioned {
        version: u32,
    }
    let file = std::fs::File::open(path).map_err(Unusable::Unreadable)?;
    if file.metadata().map_err(Unusable::Unreadable)?.len() > LARGEST {
        return Err(Unusable::TooLarge);
    }
    match serde_json::from_reader::<_, Report>(BufReader::new(file)) {
        Ok(report) if report.version == VERSION => Ok(report),
        Ok(report) => Err(Unusable::Version(report.version)),
        Err(error) => {
            let again = std::fs::File::open(path).map_err(Unusable::Unreadable)?;
            match serde_json::from_reader::<_, Versioned>(BufReader::new(again)) {
                Ok(found) if found.version != VERSION => Err(Unusable::Version(found.version)),
                _ => Err(Unusable::Malformed(error)),
            }
        }
    }
}

/// A report that an input names.
pub(super) fn read(workspace: &Path, path: &str, input: &'static str) -> Result<Report, Failure> {
    load(&workspace.join(path)).map_err(|error| {
        let message = format!("{input} names '{path}', which {error}");
        let hint = "Give the file that an earlier `metrics` run wrote, for example from its artifact.";
        let failure = Failure::input(message, hint);
        match error {
            Unusable::Unreadable(source) => failure.caused_by(source),
            Unusable::Malformed(source) => failure.caused_by(source),
            Unusable::TooLarge | Unusable::Version(_) => failure,
        }
    })
}

/// What an earlier collection knew. It only saves requests: without it everything is asked again.
pub(super) fn read_previous(run: &Run, path: &str, repository: &RepositoryName) -> Option<Report> {
    match load(&run.workspace().join(path)) {
        Ok(report) if report.repository == repository.as_str() => Some(report),
        Ok(report) => {
            let message = format!("'{path}' is about {}; everything is collected anew", report.repository);
            run.log.warn("Previous report not used", message);
            None
        }
        Err(Unusable::Unreadable(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            run.log.info(format!("there is no previous report '{path}'; everything is collected"));
            None
        }
        Err(error) => {
            run.log.warn("Previous report not used", format!("'{path}' {error}; everything is collected anew"));
            None
        }
    }
}

/// Paths of what was written, as the inputs name them.
pub(super) struct Written {
    pub(super) report: String,
    pub(super) chart: String,
}

/// Writes the report, then its chart.
pub(super) async fn write(report: &Report, output: &str, run: &Run) -> Result<Written, Failure> {
    let chart = Path::new(output).with_extension("svg").to_string_lossy().into_owned();
    let (json, svg) = (run.workspace().join(output), run.workspace().join(&chart));
    store(&json, |file| Ok(serde_json::to_writer(file, report)?))?;
    let title = format!("{}: median duration of successful runs by day", report.repository);
    let picture = durations_svg(&title, &report.total.days);
    store(&svg, |file| file.write_all(picture.as_bytes()))?;
    run.log.info(format!("wrote {output} and {chart}"));
    Ok(Written { report: output.to_owned(), chart })
}

fn store(path: &Path, fill: impl FnOnce(&mut BufWriter<std::fs::File>) -> std::io::Result<()>) -> Result<(), Failure> {
    let written = || {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = BufWriter::new(std::fs::File::create(path)?);
        fill(&mut file)?;
        file.flush()
    };
    written().map_err(|error| {
        let shown = PathBuf::from(path);
        Failure::new(Kind::Work, "disk", "Report not written", format!("{} cannot be written", shown.display()))
            .hint("Check `output`, and the free space of the runner.")
            .caused_by(error)
    })
}
