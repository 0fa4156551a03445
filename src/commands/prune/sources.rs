//! Purpose: the registries behind the images: which face each one has, and with which clients it is spoken to.

use std::time::Duration;

use super::settings::Settings;
use crate::commands::run::Run;
use crate::commands::shared::Provider;
use crate::commands::upstream::Clients;
use crate::domain::reference::{ImageName, RegistryKind};
use crate::domain::retention::Untagging;
use crate::runner::{Failure, Kind};
use crate::services::ErrorClass;
use crate::services::aws::Session;
use crate::services::aws::ecr::EcrRepository;
use crate::services::github::{GithubClient, PackagePath};
use crate::services::governor::Governor;
use crate::services::holdings::{EcrHoldings, GhcrHoldings, Holdings, OciHoldings};
use crate::services::registry::RegistryClient;

/// One repository with its clients.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) image: ImageName,
    pub(super) holdings: Holdings,
    pub(super) is_pruned: bool,
}

impl Source {
    pub(super) fn untagging(&self) -> Untagging {
        match self.holdings {
            Holdings::Ghcr(_) => Untagging::Impossible,
            Holdings::Ecr(_) | Holdings::Oci(_) => Untagging::Possible,
        }
    }
}

/// The sources of all images, and the AWS session when one of them is in ECR.
pub(super) struct Sources {
    pub(super) all: Vec<Source>,
    pub(super) session: Option<Session>,
}

/// Makes the clients. What is asked is only whose packages they are.
pub(super) async fn of(settings: &Settings, run: &Run) -> Result<Sources, Failure> {
    let mut maker = Maker::new(settings, run)?;
    let mut all = Vec::new();
    let pruned = settings.images.iter().map(|image| (image, true));
    for (image, is_pruned) in pruned.chain(settings.references.iter().map(|image| (image, false))) {
        let holdings = maker.holdings(image).await?;
        all.push(Source { image: image.clone(), holdings, is_pruned });
    }
    Ok(Sources { all, session: maker.session })
}

struct Maker<'a> {
    run: &'a Run,
    clients: Clients<'a>,
    registry: RegistryClient,
    /// One for the whole process: all packages share GitHub's limits.
    governor: Governor,
    github: Option<GithubClient>,
    session: Option<Session>,
}

impl<'a> Maker<'a> {
    fn new(settings: &Settings, run: &'a Run) -> Result<Self, Failure> {
        let clients = Clients::new(run);
        let hosts: Vec<&str> = settings.images.iter().chain(&settings.references).map(ImageName::registry).collect();
        let registry = clients.registry(&hosts)?;
        // A limit that ends within the run's time is waited out.
        let governor = Governor::new(settings.limits, settings.timeout.max(Duration::from_secs(60)));
        Ok(Self { run, clients, registry, governor, github: None, session: None })
    }

    async fn holdings(&mut self, image: &ImageName) -> Result<Holdings, Failure> {
        let kind = match (self.run.registry.provider, image.kind()) {
            (Some(Provider::Oci), _) => RegistryKind::Other,
            (Some(Provider::Ghcr), _) => RegistryKind::Ghcr,
            (_, kind @ RegistryKind::Ecr { .. }) => kind,
            (Some(Provider::Ecr), _) => RegistryKind::Ecr { account: String::new(), region: String::new() },
            (_, kind) => kind,
        };
        match kind {
            RegistryKind::Ghcr => Ok(Holdings::Ghcr(Box::new(self.ghcr(image).await?))),
            RegistryKind::Ecr { account, region } => self.ecr(image, account, region).await.map(Holdings::Ecr),
            RegistryKind::Other => Ok(Holdings::Oci(OciHoldings::new(&self.registry, image.clone()))),
        }
    }

    async fn ghcr(&mut self, image: &ImageName) -> Result<GhcrHoldings, Failure> {
        let Some((owner, name)) = image.repository().split_once('/') else {
            return Err(Failure::input(
                format!("the image {image} has no owner"),
                "Write it as ghcr.io/owner/package.",
            ));
        };
        let github = match &self.github {
            Some(github) => github.clone(),
            None => self.github.insert(self.clients.github()?).clone(),
        };
        let owner = github.package_owner(owner).await?;
        let path = PackagePath { owner, name: name.to_owned() };
        if let Err(error) = github.package(&path).await {
            let failure = Failure::from(error);
            return Err(match failure.reason {
                "github-not-found" => Failure::new(
                    Kind::Auth,
                    "package-not-visible",
                    "Package not visible",
                    format!("GitHub shows no package {}/{} to this token", path.owner.login(), path.name),
                )
                .hint("Check the name: the part behind the owner is the package, slashes included.")
                .hint("Give this repository the role Admin under the package's settings, \"Manage Actions access\", and the job `permissions: packages: write`."),
                _ => failure,
            });
        }
        Ok(GhcrHoldings::new(&github, &self.registry, &self.governor, path, image.clone()))
    }

    async fn ecr(&mut self, image: &ImageName, account: String, region: String) -> Result<EcrHoldings, Failure> {
        let given = |text: String| Some(text).filter(|text| !text.is_empty());
        let session = match &self.session {
            Some(session) => session.clone(),
            None => self.session.insert(self.session_in(&region).await?).clone(),
        };
        let repository = EcrRepository::new(&session, given(account), given(region), image.repository());
        Ok(EcrHoldings::new(repository))
    }

    /// The region of the image's host serves when no other is set.
    async fn session_in(&self, region: &str) -> Result<Session, Failure> {
        let mut options = crate::commands::cloud::options(self.run);
        if options.region.is_none() && !region.is_empty() {
            options.region = Some(region.to_owned());
        }
        Ok(Session::connect(options).await?)
    }
}

/// Whether an error may pass, so that the next run is worth a try.
pub(super) fn is_passing(class: ErrorClass) -> bool {
    class.is_transient()
}
