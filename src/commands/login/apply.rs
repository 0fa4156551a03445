//! Purpose: gets the credentials, proves them, hands them out, and takes them back at the end of the job.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::SystemTime;

use aws_credential_types::Credentials;

use super::inputs::Outputs;
use super::settings::{Plan, Wanted, given_for};
use crate::commands::framework::Verdict;
use crate::commands::run::Run;
use crate::commands::upstream::Clients;
use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::reference::RegistryKind;
use crate::runner::{Failure, FileCommandError, Kind};
use crate::services::aws::{AwsError, Identity, Session};
use crate::services::engine::Login;
use crate::services::registry::{DockerFile, RegistryClient, ecr_login, ecr_public_login};

/// Key of the state with the name of the folder of the docker configuration.
const FOLDER: &str = "docker_folder";
/// Key of the state with the variables that later steps got.
const VARIABLES: &str = "variables";

/// A login at work.
pub(super) struct Work<'a> {
    pub(super) run: &'a Run,
    pub(super) plan: &'a Plan,
    pub(super) outputs: &'a mut Outputs,
}

/// AWS, as whom, and until when.
struct Aws {
    session: Session,
    identity: Identity,
    credentials: Credentials,
    expiration: Option<jiff::Timestamp>,
}

impl Work<'_> {
    pub(super) async fn execute(self) -> Result<Verdict, Failure> {
        let aws = self.aws().await?;
        let logins = self.logins(aws.as_ref()).await?;
        let mut variables: Vec<(&str, String)> = Vec::new();
        if let Some(aws) = &aws {
            variables.extend(aws_variables(aws));
            self.outputs.aws_account_id = Some(aws.identity.account.clone());
            self.outputs.aws_region = Some(aws.session.region().to_owned());
            self.outputs.caller_arn = Some(aws.identity.arn.clone());
            self.outputs.expiration = aws.expiration.map(|end| end.to_string());
            self.outputs.registry = Some(own_registry(aws));
        }
        if !logins.is_empty() {
            let folder = self.write(&logins)?;
            self.outputs.docker_config = Some(folder.clone());
            variables.push(("DOCKER_CONFIG", folder));
            let hosts: Vec<String> = logins.iter().map(|(host, _)| host.clone()).collect();
            self.outputs.registry = self.outputs.registry.take().or_else(|| hosts.first().cloned());
            self.outputs.registries = Some(hosts);
        }
        if self.plan.export {
            self.export(&variables)?;
        }
        summarise(self.run, aws.as_ref(), &logins, self.plan.export);
        Ok(Verdict::Success("logged-in"))
    }

    async fn aws(&self) -> Result<Option<Aws>, Failure> {
        let Some(options) = &self.plan.options else {
            return Ok(None);
        };
        let run = self.run;
        let _group = run.log.group("AWS");
        self.plan.steps.iter().for_each(|step| run.log.info(step));
        // The accounts are checked here, before anything is handed out.
        let session = Session::connect(options.clone()).await?;
        let credentials = session.credentials().await?;
        let identity = session.identity().await?.clone();
        let expiration = credentials.expiry().and_then(timestamp);
        run.log.info(format!("you are {} in {}", identity.arn, session.region()));
        if let Some(end) = expiration {
            let minutes = run.clock.now().until(end).map(|left| left.total(jiff::Unit::Minute).unwrap_or_default());
            let minutes = minutes.map(|left| format!(", in {left:.0} minutes")).unwrap_or_default();
            run.log.info(format!("until {end:.0}{minutes}"));
        }
        Ok(Some(Aws { session, identity, credentials, expiration }))
    }

    /// The logins by host, each proven.
    async fn logins(&self, aws: Option<&Aws>) -> Result<Vec<(String, Login)>, Failure> {
        let plan = self.plan;
        if plan.registries.is_empty() {
            return Ok(Vec::new());
        }
        let _group = self.run.log.group("Registries");
        let clients = Clients::new(self.run).registry(&given_for(&plan.registries))?;
        let mut ecr = BTreeMap::new();
        let mut logins: Vec<(String, Login)> = Vec::new();
        for wanted in &plan.registries {
            let (host, login) = match (wanted, aws) {
                (Wanted::Host(host), _) => (host.clone(), self.other(&clients, host).await?),
                (_, None) => return Err(AwsError::NoCredentials.into()),
                (Wanted::EcrPublic, Some(aws)) => {
                    let login = ecr_public_login(&aws.session, &self.run.secret_observer()).await?;
                    ("public.ecr.aws".to_owned(), login)
                }
                (Wanted::Ecr(account), Some(aws)) => {
                    self.ecr(aws, &ecr_host(aws, account.as_deref()), &mut ecr).await?
                }
                (Wanted::EcrHost(host), Some(aws)) => self.ecr(aws, host, &mut ecr).await?,
            };
            if logins.iter().any(|(known, _)| *known == host) {
                continue;
            }
            self.run.mask(&login.password);
            self.run.log.info(format!("logged in to {host} as {}", login.username));
            logins.push((host, login));
        }
        Ok(logins)
    }

    /// One token serves all registries of a region that the credentials may use.
    async fn ecr(
        &self,
        aws: &Aws,
        host: &str,
        known: &mut BTreeMap<String, Login>,
    ) -> Result<(String, Login), Failure> {
        let region = match RegistryKind::of(host) {
            RegistryKind::Ecr { region, .. } => region,
            _ => aws.session.region().to_owned(),
        };
        if let Some(login) = known.get(&region) {
            return Ok((host.to_owned(), login.clone()));
        }
        let login = ecr_login(&aws.session, &region, &self.run.secret_observer()).await?;
        known.insert(region, login.clone());
        Ok((host.to_owned(), login))
    }

    async fn other(&self, clients: &RegistryClient, host: &str) -> Result<Login, Failure> {
        let Some(login) = clients.login(host).await? else {
            let message = format!("no login for {host} is known");
            return Err(Failure::new(Kind::Input, "registry-login-missing", "No registry login", message)
                .hint("Set `registry_username` and `registry_password`."));
        };
        clients.prove_login(host).await?;
        Ok(login)
    }

    /// Writes the docker configuration; gives its folder as steps on the machine know it.
    fn write(&self, logins: &[(String, Login)]) -> Result<String, Failure> {
        let run = self.run;
        let folder = run.temporary_path("docker");
        let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        // First the note for the clean-up, then what it cleans up: the run may be killed in between.
        run.state.save(FOLDER, &name).map_err(unwritten)?;
        let mut file = DockerFile::over(Clients::new(run).docker_folder().as_deref());
        logins.iter().for_each(|(host, login)| file.set(host, login));
        file.write(&folder).map_err(|error| {
            Failure::new(Kind::Work, "docker-config-unwritable", "Logins not written", error.to_string())
                .caused_by(error)
        })?;
        Ok(run.temporary_folder_of_machine().join(name).to_string_lossy().into_owned())
    }

    fn export(&self, variables: &[(&str, String)]) -> Result<(), Failure> {
        let run = self.run;
        if !run.exports.has_reader() {
            run.log.warn("Nothing exported", "there is no runner here that would give variables to later steps");
            return Ok(());
        }
        let names: Vec<&str> = variables.iter().map(|(name, _)| *name).collect();
        run.state.save(VARIABLES, &names.join(" ")).map_err(unwritten)?;
        run.exports.write(variables.iter().map(|(name, value)| (*name, value.as_str()))).map_err(unwritten)?;
        run.log.info(format!("later steps have {}", names.join(", ")));
        Ok(())
    }
}

fn unwritten(error: FileCommandError) -> Failure {
    Failure::new(Kind::Work, "exports-unwritable", "Credentials not handed out", "later steps cannot be told")
        .caused_by(error)
}

fn timestamp(at: SystemTime) -> Option<jiff::Timestamp> {
    jiff::Timestamp::try_from(at).ok()
}

/// The variables that AWS's own tools read. A token of other keys must not stay beside these.
fn aws_variables(aws: &Aws) -> Vec<(&'static str, String)> {
    let region = aws.session.region().to_owned();
    vec![
        ("AWS_ACCESS_KEY_ID", aws.credentials.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", aws.credentials.secret_access_key().to_owned()),
        ("AWS_SESSION_TOKEN", aws.credentials.session_token().unwrap_or_default().to_owned()),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
    ]
}

fn own_registry(aws: &Aws) -> String {
    ecr_host(aws, None)
}

fn ecr_host(aws: &Aws, account: Option<&str>) -> String {
    let region = aws.session.region();
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("{}.dkr.ecr.{region}.{domain}", account.unwrap_or(&aws.identity.account))
}

fn summarise(run: &Run, aws: Option<&Aws>, logins: &[(String, Login)], export: bool) {
    let mut rows = Vec::new();
    if let Some(aws) = aws {
        rows.push(vec![escaped("Identity"), code(&aws.identity.arn)]);
        rows.push(vec![escaped("Region"), code(aws.session.region())]);
        let end = aws.expiration.map_or_else(|| "no end".to_owned(), |end| format!("{end:.0}"));
        rows.push(vec![escaped("Until"), escaped(&end)]);
    }
    rows.extend(
        logins
            .iter()
            .map(|(host, login)| vec![escaped("Registry"), format!("{} as {}", code(host), code(&login.username))]),
    );
    let reach = if export { "all later steps of the job" } else { "this step, and steps that take `docker_config`" };
    rows.push(vec![escaped("For"), reach.to_owned()]);
    run.summary.section(Markdown::new().heading(3, "🔑 Logged in").facts(rows).into_string());
}

/// Deletes the docker configuration and takes the variables from the steps that are still to come.
pub(super) fn take_back(run: &Run) -> Result<(), Failure> {
    let variables: Vec<&str> = run.state.get(VARIABLES).unwrap_or_default().split_whitespace().collect();
    if !variables.is_empty() {
        run.exports.write(variables.iter().map(|name| (*name, ""))).map_err(unwritten)?;
        run.log.info(format!("taken back: {}", variables.join(", ")));
    }
    let Some(name) = run.state.get(FOLDER).filter(|name| is_ours(name)) else {
        return Ok(());
    };
    let folder: PathBuf = run.temporary_folder().join(name);
    match std::fs::remove_dir_all(&folder) {
        Ok(()) => {
            run.log.info("deleted the docker configuration with the logins");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => {
            let message = format!("the docker configuration {} cannot be deleted", folder.display());
            Err(Failure::new(Kind::Work, "logins-left", "Logins left behind", message)
                .hint("Delete it by hand on a machine of your own; it holds tokens.")
                .caused_by(error))
        }
    }
}

/// The state is a file that other steps could write: only a name that this command gives is deleted.
fn is_ours(name: &str) -> bool {
    name.strip_prefix("landfall-docker-").is_some_and(|rest| rest.chars().all(|c| c.is_ascii_alphanumeric()))
}
