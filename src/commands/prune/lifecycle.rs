//! Purpose: the policy in ECR's own words: proposed, previewed by ECR, put.

use std::fmt;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::settings::Settings;
use super::{Outputs, sources};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::contract::values::Count;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::retention::{Lifecycle, lifecycle};
use crate::runner::{Failure, Kind};
use crate::services::aws::ecr::{EcrRepository, Preview};
use crate::services::holdings::Holdings;

/// Looks at a preview, a second apart and then longer.
const LOOKS: u32 = 30;

/// A lifecycle policy for every repository.
#[derive(Serialize)]
pub struct Proposal {
    policy: serde_json::Value,
    cannot_say: Vec<String>,
    repositories: Vec<Repository>,
    #[serde(skip)]
    targets: Vec<EcrRepository>,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct Repository {
    name: String,
    /// What would expire now, as ECR counts it.
    expires: Option<usize>,
    /// Whether there is another policy that this one replaces.
    replaces: bool,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = format!("the lifecycle policy that comes nearest:\n{:#}", self.policy);
        for loss in &self.cannot_say {
            let _ = write!(text, "\n- not in it: {loss}");
        }
        for repository in &self.repositories {
            let expires = repository.expires.map_or("an unknown number of".to_owned(), |count| count.to_string());
            let replaces = if repository.replaces { "; replaces the policy that is there" } else { "" };
            let _ = write!(text, "\n{}: {expires} images would expire now{replaces}", repository.name);
        }
        f.write_str(&text)
    }
}

/// Makes the policy and lets ECR say what it would do. A preview changes nothing.
pub(super) async fn plan(settings: Settings, run: &Run, outputs: &mut Outputs) -> Result<Proposal, Failure> {
    let Lifecycle { text, losses } = lifecycle(&settings.policy);
    let made = sources::of(&settings, run).await?;
    let (mut targets, mut repositories) = (Vec::new(), Vec::new());
    for source in made.all.iter().filter(|source| source.is_pruned) {
        let Holdings::Ecr(holdings) = &source.holdings else {
            return Err(Failure::input(
                format!("{} is not in ECR, and only ECR has lifecycle policies", source.image),
                "Use `operation: apply` there; for a registry behind another name set `provider: ecr`.",
            ));
        };
        let repository = holdings.repository().clone();
        let present = repository.lifecycle_policy().await?;
        let expires = preview(&repository, &text).await?;
        repositories.push(Repository {
            name: source.image.to_string(),
            expires,
            replaces: present.as_ref().is_some_and(|present| *present != text),
        });
        targets.push(repository);
    }
    let policy = serde_json::from_str(&text).unwrap_or_default();
    outputs.policy = Some(text.clone());
    outputs.planned =
        Some(Count(repositories.iter().filter_map(|repository| repository.expires).sum::<usize>() as u64));
    let proposal = Proposal { policy, cannot_say: losses, repositories, targets, text };
    run.summary.section(section(&proposal));
    Ok(proposal)
}

async fn preview(repository: &EcrRepository, text: &str) -> Result<Option<usize>, Failure> {
    repository.start_preview(text).await?;
    let mut wait = Duration::from_secs(1);
    for _ in 0..LOOKS {
        match repository.preview().await? {
            Preview::Complete(images) => return Ok(Some(images.len())),
            Preview::Running => tokio::time::sleep(wait).await,
            Preview::Failed(_) => return Ok(None),
        }
        wait = (wait * 2).min(Duration::from_secs(10));
    }
    Ok(None)
}

/// Puts the policy.
pub(super) async fn apply(proposal: Proposal, run: &Run) -> Result<Verdict, Failure> {
    if !(100..=30_720).contains(&proposal.text.len()) {
        return Err(Failure::new(
            Kind::Input,
            "policy-too-long",
            "Policy too long",
            format!("the lifecycle policy has {} characters, and ECR takes 100 to 30,720", proposal.text.len()),
        )
        .hint("Use fewer patterns, or `operation: apply` instead."));
    }
    for repository in &proposal.targets {
        repository.put_lifecycle_policy(&proposal.text).await?;
        run.log.info(format!("put the lifecycle policy of {}", repository.name()));
    }
    Ok(Verdict::Success("lifecycle-put"))
}

fn section(proposal: &Proposal) -> String {
    let rows = proposal.repositories.iter().map(|repository| {
        let expires = repository.expires.map_or("unknown".to_owned(), |count| count.to_string());
        vec![code(&repository.name), expires, if repository.replaces { "yes" } else { "no" }.to_owned()]
    });
    let losses = proposal.cannot_say.iter().map(|loss| escaped(loss));
    Markdown::new()
        .heading(3, "ECR lifecycle policy")
        .table(&["Repository", "Would expire now", "Replaces another policy"], rows)
        .paragraph("What the policy cannot say:")
        .bullets(losses)
        .details("The policy", &Markdown::new().code_block("json", &format!("{:#}", proposal.policy)))
        .into_string()
}
