//! Purpose: digests that the jobs of a matrix left in artifacts of the run.

use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::artifact::ArtifactName;
use crate::domain::globs::Globs;
use crate::domain::handed_digest;
use crate::runner::{Failure, Kind};
use crate::services::artifacts::{Artifacts, Content, FileInside, Unpack};

/// The most bytes of a file with digests.
const LARGEST: u64 = 64 * 1024;
/// The most files with digests of one artifact.
const MOST_FILES: usize = 1000;

/// The lines of all artifacts of this run whose names match, in the order of their names.
pub(super) async fn lines(glob: &Globs, run: &Run) -> Result<Vec<String>, Failure> {
    let artifacts = Clients::new(run).artifacts()?;
    let names = artifacts.names().await?;
    let wanted: Vec<&String> = names.iter().filter(|name| glob.matches(name)).collect();
    if wanted.is_empty() {
        return Err(absent(glob, &names));
    }
    let mut lines = Vec::new();
    for name in wanted {
        let found = of_one(name, &artifacts).await?;
        run.log.foreign(format!("{name}: {}", found.join(", ")));
        if found.is_empty() {
            return Err(Failure::new(
                Kind::Work,
                "artifact-without-digest",
                "No digest in an artifact",
                format!("the artifact '{name}' holds no digest"),
            )
            .hint(
                "Let `artifact` match only what `build` left with `digest_artifact`, or files with one digest a line.",
            ));
        }
        lines.extend(found);
    }
    Ok(lines)
}

async fn of_one(name: &str, artifacts: &Artifacts) -> Result<Vec<String>, Failure> {
    let name: ArtifactName = name.parse().map_err(|error| {
        Failure::input("an artifact's name cannot be used", "Rename the artifact.").caused_by(error)
    })?;
    let content = artifacts.find(&name).await?.open().await?;
    let mut lines = Vec::new();
    // An index that lacks a part would look whole.
    if content.files.len() > MOST_FILES {
        return Err(Failure::input(
            format!(
                "the artifact '{name}' holds {} files, more than the {MOST_FILES} that are read",
                content.files.len()
            ),
            "Let `artifact` match only what `build` left with `digest_artifact`, or files with one digest a line.",
        ));
    }
    for file in &content.files {
        lines.extend(handed_digest::digests(&file.name, &text(&content, file).await?));
    }
    Ok(lines)
}

async fn text(content: &Content, file: &FileInside) -> Result<String, Failure> {
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<std::io::Result<bytes::Bytes>>(4);
    let gather = async {
        let mut all: Vec<u8> = Vec::new();
        while let Some(piece) = receiver.recv().await {
            // What went wrong is the sender's to tell.
            all.extend_from_slice(&piece.unwrap_or_default());
        }
        all
    };
    let (sent, bytes) = tokio::join!(content.send(file, Unpack::Nothing, LARGEST, sender), gather);
    sent?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn absent(glob: &Globs, names: &[String]) -> Failure {
    let has = if names.is_empty() { "has no artifact".to_owned() } else { format!("has {}", names.join(", ")) };
    Failure::new(
        Kind::Work,
        "part-missing",
        "Part missing",
        format!("no artifact of this run matches '{glob}': it {has}"),
    )
    .hint("The jobs that leave the digests must have ended: name them in `needs`.")
}
