//! Purpose: clients for the outside world, made from the inputs and the environment of a run.

use std::path::PathBuf;

use secrecy::SecretString;

use super::run::Run;
use super::shared::Provider as ProviderInput;
use crate::domain::reference::ImageRef;
use crate::runner::{Failure, Problems};
use crate::services::artifacts::{ArtifactOptions, Artifacts};
use crate::services::aws::Session;
use crate::services::engine::{Engine, Login};
use crate::services::github::{GithubClient, GithubOptions};
use crate::services::registry::{EngineAccess, Existence, LoginSources, Provider, RegistryClient, RegistryOptions};

/// The login with which the engine pulls a tool's image. `registry_username` and `registry_password` are for its registry.
///
/// # Errors
/// What the registry, or AWS for ECR's, refuses or does not answer.
pub(crate) async fn tool_login(run: &Run, engine: &Engine, image: &str) -> Result<Option<Login>, Failure> {
    // What is no reference is an id, which nobody can pull.
    let Ok(reference) = image.parse::<ImageRef>() else {
        return Ok(None);
    };
    let existence = Clients::new(run).existence(Some(engine), &[reference.registry()])?;
    Ok(run.unless_cancelled(existence.login(reference.registry())).await??)
}

/// Makes clients; each is made anew.
pub(crate) struct Clients<'a> {
    run: &'a Run,
}

impl<'a> Clients<'a> {
    /// Clients of this run.
    pub(crate) fn new(run: &'a Run) -> Self {
        Self { run }
    }

    /// GitHub, with the run's own token.
    ///
    /// # Errors
    /// Exit code 2 when address or token cannot be used.
    pub(crate) fn github(&self) -> Result<GithubClient, Failure> {
        self.github_with(None)
    }

    /// GitHub, with another token when there is one.
    ///
    /// # Errors
    /// Those of [`Self::github`].
    pub(crate) fn github_with(&self, token: Option<SecretString>) -> Result<GithubClient, Failure> {
        let options = GithubOptions {
            api_url: self.run.github.api_url.clone(),
            token: token.or_else(|| self.run.github_token()),
            secrets: self.run.secret_observer(),
        };
        Ok(GithubClient::new(&options)?)
    }

    /// This run's artifacts.
    ///
    /// # Errors
    /// Exit code 1 when the runner offers no artifact service.
    pub(crate) fn artifacts(&self) -> Result<Artifacts, Failure> {
        let options = ArtifactOptions {
            results_url: self.run.variable("ACTIONS_RESULTS_URL").map(str::to_owned),
            token: self.run.variable("ACTIONS_RUNTIME_TOKEN").map(SecretString::from),
            secrets: self.run.secret_observer(),
        };
        Ok(Artifacts::new(&options)?)
    }

    /// AWS, as the cloud inputs say.
    ///
    /// # Errors
    /// Those of [`super::cloud::session`].
    pub(crate) async fn aws(&self) -> Result<Session, Failure> {
        super::cloud::session(self.run).await
    }

    /// The engine, which must answer.
    ///
    /// # Errors
    /// Exit code 4 when it does not, 2 when it is too old.
    pub(crate) async fn engine(&self) -> Result<Engine, Failure> {
        Ok(Engine::connect(&self.run.engine_endpoint()).await?)
    }

    /// Registries. `own` are the hosts that `registry_username` and `registry_password` belong to; they are sent to no
    /// other. Without an engine, the configured one is connected to when it is needed.
    ///
    /// # Errors
    /// Exit code 2 when only one half of a login is given.
    pub(crate) fn existence(&self, engine: Option<&Engine>, own: &[&str]) -> Result<Existence, Failure> {
        let run = self.run;
        let provider = match run.registry.provider {
            None | Some(ProviderInput::Auto) => Provider::Auto,
            Some(ProviderInput::Ecr) => Provider::Ecr,
            // GitHub's own registry is asked as any other, whether an image exists.
            Some(ProviderInput::Oci | ProviderInput::Ghcr) => Provider::Oci,
        };
        let engine = match engine {
            Some(engine) => EngineAccess::Connected(Box::new(engine.clone())),
            None => EngineAccess::At(run.engine_endpoint()),
        };
        Ok(Existence::new(self.registry(own)?, provider, engine))
    }

    /// Registries, spoken to directly. `own` is as in [`Self::existence`].
    ///
    /// # Errors
    /// Exit code 2 when only one half of a login is given.
    pub(crate) fn registry(&self, own: &[&str]) -> Result<RegistryClient, Failure> {
        let run = self.run;
        let insecure = run.registry.insecure_registries.clone();
        let options = RegistryOptions {
            logins: LoginSources {
                given: self.own_login()?.map(|login| (login, own.iter().map(|&host| host.to_owned()).collect())),
                ghcr: self.job_login(),
                aws: Some(super::cloud::options(run)),
                docker_config: self.docker_folder(),
                secrets: run.secret_observer(),
            },
            insecure: insecure.map(|hosts| hosts.0).unwrap_or_default(),
        };
        Ok(RegistryClient::new(options)?)
    }

    /// The given login; an Enterprise Server's registry takes the job's own, as ghcr.io does.
    fn own_login(&self) -> Result<Option<Login>, Failure> {
        let given = self.given_login()?;
        let is_githubs = self.run.registry.provider == Some(ProviderInput::Ghcr);
        Ok(given.or_else(|| self.job_login().filter(|_| is_githubs)))
    }

    fn given_login(&self) -> Result<Option<Login>, Failure> {
        let given = &self.run.registry;
        match (&given.registry_username, &given.registry_password) {
            (Some(username), Some(password)) => {
                Ok(Some(Login { username: username.clone(), password: password.0.clone() }))
            }
            (None, None) => Ok(None),
            (username, _) => {
                let missing = if username.is_none() { "registry_username" } else { "registry_password" };
                let mut problems = Problems::default();
                problems.add(missing, "is required beside the other half of the login");
                problems.into_result().map(|()| None)
            }
        }
    }

    /// The job's own login for ghcr.io.
    fn job_login(&self) -> Option<Login> {
        let username = self.run.github.actor.clone()?;
        Some(Login { username, password: self.run.github_token()? })
    }

    /// Where docker keeps its configuration (docker documentation, "docker CLI", `DOCKER_CONFIG`).
    pub(crate) fn docker_folder(&self) -> Option<PathBuf> {
        let home = || self.run.variable("HOME").map(|home| PathBuf::from(home).join(".docker"));
        self.run.variable("DOCKER_CONFIG").map(PathBuf::from).or_else(home)
    }
}
