//! Purpose: a scan by ECR's own scanner, basic or enhanced.

use tokio::time::Instant;

use super::Scanned;
use super::settings::Settings;
use crate::commands::cloud;
use crate::commands::run::Run;
use crate::domain::image_index;
use crate::domain::scan::{EcrScan, EcrState, MOST_FINDINGS};
use crate::runner::{Failure, Kind};
use crate::services::asking;
use crate::services::aws::scans::ScanSubject;
use crate::services::aws::{AwsError, Session, SessionOptions};

/// ECR's word for what it cannot scan.
const UNSUPPORTED: &str = "UNSUPPORTED_IMAGE";

pub(super) async fn scan(settings: &Settings, run: &Run) -> Result<Scanned, Failure> {
    let options = cloud::options(run);
    let region = options.region.clone().or_else(|| region_of(settings));
    // Boxed, because the chain of credentials is a large one.
    let connecting = Box::pin(Session::connect(SessionOptions { region, ..options }));
    let session = run.unless_cancelled(connecting).await??;
    let waiting = run.unless_cancelled(finished(settings, run, &session));
    match asking::in_time(settings.limit, waiting).await {
        Ok(scanned) => scanned?,
        Err(waited_for) => Err(super::late(settings, &waited_for)),
    }
}

fn region_of(settings: &Settings) -> Option<String> {
    match settings.image.name().kind() {
        crate::domain::reference::RegistryKind::Ecr { region, .. } => Some(region),
        _ => None,
    }
}

/// Asks until there is a result that is new enough, and starts a scan where there is none.
async fn finished(settings: &Settings, run: &Run, session: &Session) -> Result<Scanned, Failure> {
    let mut subject = ScanSubject::of(&settings.image);
    let mut whole_index = true;
    // The end of the scan that is too old to count, while a new one is awaited.
    let (mut outdated, mut started, begin) = (None, false, Instant::now());
    loop {
        match session.image_scan(&subject, None).await {
            Ok((page, next)) => {
                let scan = EcrScan::of(&page).ok_or_else(|| strange(settings))?;
                match &scan.state {
                    EcrState::Pending => run.log.info(format!("ECR scans, {} s", begin.elapsed().as_secs())),
                    EcrState::Never { status, description } if whole_index && status == UNSUPPORTED => {
                        whole_index = false;
                        subject = narrowed(settings, run, session, &subject, description).await?;
                        continue;
                    }
                    EcrState::Never { status, description } => return Err(never(settings, status, description)),
                    EcrState::Ready if outdated.is_some() && scan.completed_at == outdated => {
                        run.log.info("ECR shows the earlier scan still");
                    }
                    EcrState::Ready if !started && is_old(settings, run, &scan) => {
                        started = true;
                        match start(session, &subject, run).await? {
                            Start::Begun | Start::OfAnIndex => outdated = scan.completed_at,
                            Start::Not => return whole(settings, session, &subject, scan, next).await,
                        }
                    }
                    EcrState::Ready => return whole(settings, session, &subject, scan, next).await,
                }
            }
            Err(error) if error.code() == Some("ScanNotFoundException") => {
                let begun = if started { Start::Not } else { start(session, &subject, run).await? };
                started = true;
                if begun == Start::OfAnIndex {
                    if !whole_index {
                        return Err(never(settings, UNSUPPORTED, ""));
                    }
                    (whole_index, started) = (false, false);
                    subject = narrowed(settings, run, session, &subject, "").await?;
                    continue;
                }
            }
            Err(error) => return Err(absent(settings, error)),
        }
        tokio::time::sleep(settings.interval).await;
    }
}

/// ECR scans images, and no index: of one it is the image for a platform.
async fn narrowed(
    settings: &Settings,
    run: &Run,
    session: &Session,
    subject: &ScanSubject,
    description: &str,
) -> Result<ScanSubject, Failure> {
    let manifest = session.scanned_manifest(subject).await?.filter(image_index::is_index);
    let Some(index) = manifest else {
        return Err(never(settings, UNSUPPORTED, description));
    };
    match image_index::image_for(&index, settings.platform.as_deref()) {
        Ok(digest) => {
            run.log.info(format!("{} is an index; its image {digest} is scanned", settings.image));
            Ok(subject.by_digest(&digest))
        }
        Err(platforms) => {
            let wanted = settings.platform.as_deref().unwrap_or("linux/amd64");
            let message = format!(
                "{} was not scanned: it has no image for {wanted}, only for {}",
                settings.image,
                platforms.join(", ")
            );
            Err(Failure::new(Kind::Work, "scan-unsupported", "No scan result", message)
                .hint("Set `platform` to one of them."))
        }
    }
}

/// A basic scan knows what was known when it ended; the enhanced one goes on and names no end.
fn is_old(settings: &Settings, run: &Run, scan: &EcrScan) -> bool {
    let now = run.clock.now().as_second();
    let limit = i64::try_from(settings.max_age.as_secs()).unwrap_or(i64::MAX);
    scan.completed_at.is_some_and(|at| now.saturating_sub(at) > limit)
}

/// What came of asking for a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// A new one is to be expected.
    Begun,
    /// There will be none but what there is.
    Not,
    /// This is nothing that can be scanned: an index, or a system that ECR does not know.
    OfAnIndex,
}

/// Asks for a scan.
async fn start(session: &Session, subject: &ScanSubject, run: &Run) -> Result<Start, Failure> {
    match session.start_image_scan(subject).await {
        Ok(()) => {
            run.log.info("asked ECR for a scan");
            Ok(Start::Begun)
        }
        Err(error) if error.code() == Some("LimitExceededException") => {
            run.log.info("ECR scanned this image within the last day and does it once a day");
            Ok(Start::Not)
        }
        // Where the registry is set to enhanced scanning, images are scanned on push and cannot be asked for.
        Err(error) if error.code() == Some("ValidationException") => {
            run.log.info("ECR scans by itself here");
            Ok(Start::Not)
        }
        Err(error) if error.code() == Some("UnsupportedImageTypeException") => Ok(Start::OfAnIndex),
        Err(error) => Err(error.into()),
    }
}

/// Reads the remaining pages.
async fn whole(
    settings: &Settings,
    session: &Session,
    subject: &ScanSubject,
    mut scan: EcrScan,
    mut next: Option<String>,
) -> Result<Scanned, Failure> {
    while let Some(token) = next {
        let (page, following) = session.image_scan(subject, Some(&token)).await?;
        if scan.add(&page) > MOST_FINDINGS {
            let message = format!("{} has more than {MOST_FINDINGS} findings", settings.image);
            return Err(Failure::new(Kind::Work, "scan-too-large", "No scan result", message));
        }
        // The same token again would never end.
        next = following.filter(|following| *following != token);
    }
    Ok(Scanned { scan: scan.scan(), tool: "Amazon ECR", version: String::new() })
}

fn strange(settings: &Settings) -> Failure {
    let message = format!("{} was not scanned: ECR's answer has no status", settings.image);
    Failure::new(Kind::Work, "scan-no-result", "No scan result", message)
}

fn never(settings: &Settings, status: &str, description: &str) -> Failure {
    let said = if description.is_empty() { String::new() } else { format!(" ({description})") };
    let message = format!("{} was not scanned: ECR says {status}{said}", settings.image);
    let (reason, hint) = match status {
        UNSUPPORTED => (
            "scan-unsupported",
            "ECR does not know the system in this image, or it is no image at all: use `provider: trivy`.",
        ),
        "SCAN_ELIGIBILITY_EXPIRED" => (
            "scan-expired",
            "The image is older than the registry's scan duration: push it anew, raise that duration, or use `provider: trivy`.",
        ),
        "LIMIT_EXCEEDED" => ("scan-limited", "Try again later, or use `provider: trivy`."),
        _ => ("scan-failed", "Start a scan by hand to see whether it can work, or use `provider: trivy`."),
    };
    Failure::new(Kind::Work, reason, "No scan result", message).hint(hint)
}

fn absent(settings: &Settings, error: AwsError) -> Failure {
    let is_absent = matches!(error.code(), Some("ImageNotFoundException" | "RepositoryNotFoundException"));
    if !is_absent {
        return error.into();
    }
    let message = format!("{} was not scanned: ECR has no such image", settings.image);
    Failure::new(Kind::Work, "image-not-found", "No scan result", message)
        .hint("Push the image before it is scanned, and check repository, tag, account and region.")
        .caused_by(error)
}
