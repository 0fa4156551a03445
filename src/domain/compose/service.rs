//! Purpose: one service of a compose file, value by value.

use std::collections::BTreeMap;

use super::file::{DependencyFile, EnvFileFile, HealthFile, MountFile, NetworkUse, PortFile, ServiceFile};
use super::read::Lookup;
use super::shape::{Form, Forms, Keys, Listed, Scalar, Texts};
use super::{ComposeError, Condition, EnvFile, Presence, Service, VolumeUse, duration, interpolate};
use crate::domain::container::{HealthCheck, HealthTest, Port, read_ports};
use crate::domain::shell::words;

pub(super) fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Reads one service.
pub(super) struct Reader<'a> {
    pub(super) name: &'a str,
    pub(super) lookup: Lookup<'a>,
    /// All services.
    pub(super) others: &'a BTreeMap<String, Keys<ServiceFile>>,
}

impl Reader<'_> {
    pub(super) fn service(&self, file: &ServiceFile, image: Option<&String>) -> Result<Service, ComposeError> {
        let image = match (image, &file.image) {
            (Some(image), _) => image.clone(),
            (None, Some(image)) => self.text("image", &image.0)?,
            (None, None) => return Err(self.wrong("image", "is required: services are not built here")),
        };
        let mut ports = Vec::new();
        for port in file.ports.iter().flat_map(|Forms(ports)| ports) {
            ports.extend(self.ports(port)?);
        }
        let mut volumes = Vec::new();
        for volume in file.volumes.iter().flat_map(|Forms(volumes)| volumes) {
            volumes.push(self.volume(volume, volumes.len())?);
        }
        let env_files = file.env_file.iter().flat_map(|Forms(files)| files);
        Ok(Service {
            image,
            environment: self.environment(file.environment.as_ref())?,
            env_files: env_files.map(|file| self.env_file(file)).collect::<Result<_, _>>()?,
            ports,
            command: self.command("command", file.command.as_ref())?,
            entrypoint: self.command("entrypoint", file.entrypoint.as_ref())?,
            depends_on: self.depends_on(file.depends_on.as_ref())?,
            health: file.healthcheck.as_ref().map(|Keys(check)| self.health(check)).transpose()?,
            volumes,
            networks: networks(file.networks.as_ref()),
        })
    }

    fn wrong(&self, key: &str, message: impl Into<String>) -> ComposeError {
        ComposeError::value(&format!("services.{}.{key}", self.name), message)
    }

    fn text(&self, key: &str, text: &str) -> Result<String, ComposeError> {
        interpolate(text, self.lookup).map_err(|message| self.wrong(key, message))
    }

    /// A value that may be missing.
    fn given(&self, key: &str, value: Option<&Scalar>) -> Result<Option<String>, ComposeError> {
        value.map(|value| self.text(key, &value.0)).transpose()
    }

    /// A value that a long form must have.
    fn needed(&self, key: &str, value: Option<&Scalar>) -> Result<String, ComposeError> {
        self.given(key, value)?.ok_or_else(|| self.wrong(key, "is required"))
    }

    fn environment(&self, pairs: Option<&Listed<Option<Scalar>>>) -> Result<BTreeMap<String, String>, ComposeError> {
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, text: Option<&str>| -> Result<(), ComposeError> {
            // A name alone is the surroundings' variable, when they have it.
            let text = match text {
                Some(text) => Some(self.text("environment", text)?),
                None => (self.lookup)(name),
            };
            if name.is_empty() || name.contains('=') {
                return Err(self.wrong("environment", format!("'{name}' is no variable's name")));
            }
            environment.extend(text.map(|text| (name.to_owned(), text)));
            Ok(())
        };
        match pairs {
            None => {}
            Some(Listed::Map(map)) => {
                for (name, text) in map {
                    set(name, text.as_ref().map(|text| text.0.as_str()))?;
                }
            }
            Some(Listed::List(list)) => {
                for entry in list {
                    let (name, text) = entry.split_once('=').map_or((entry.as_str(), None), |(n, v)| (n, Some(v)));
                    set(name, text)?;
                }
            }
        }
        Ok(environment)
    }

    fn env_file(&self, file: &Form<EnvFileFile>) -> Result<EnvFile, ComposeError> {
        let presence = |file: &EnvFileFile| {
            if file.required == Some(false) { Presence::Optional } else { Presence::Required }
        };
        Ok(EnvFile {
            path: file
                .either(|path| self.text("env_file", path), |file| self.needed("env_file.path", file.path.as_ref()))?,
            presence: file.either(|_| Presence::Required, presence),
        })
    }

    fn ports(&self, port: &Form<PortFile>) -> Result<Vec<Port>, ComposeError> {
        let short = port.either(|text| self.text("ports", text), |port| self.short_port(port))?;
        read_ports(&short).map_err(|error| self.wrong("ports", error.to_string()))
    }

    /// The long form said shortly.
    fn short_port(&self, port: &PortFile) -> Result<String, ComposeError> {
        let mode = self.given("ports.mode", port.mode.as_ref())?;
        if let Some(mode) = mode.filter(|mode| !matches!(mode.as_str(), "host" | "ingress")) {
            return Err(self.wrong("ports.mode", format!("is '{mode}'; use host or ingress, or leave it out")));
        }
        let mut short = self.needed("ports.target", port.target.as_ref())?;
        let published = self.given("ports.published", port.published.as_ref())?;
        match (self.given("ports.host_ip", port.host_ip.as_ref())?, published) {
            (Some(ip), published) => {
                let ip = if ip.contains(':') && !ip.starts_with('[') { format!("[{ip}]") } else { ip };
                short = format!("{ip}:{}:{short}", published.unwrap_or_default());
            }
            (None, Some(published)) => short = format!("{published}:{short}"),
            (None, None) => {}
        }
        if let Some(protocol) = self.given("ports.protocol", port.protocol.as_ref())? {
            short = format!("{short}/{protocol}");
        }
        Ok(short)
    }

    fn list(&self, key: &str, given: &[String]) -> Result<Vec<String>, ComposeError> {
        given.iter().map(|entry| self.text(key, entry)).collect()
    }

    /// A text is split as a shell would, without running one.
    fn command(&self, key: &str, given: Option<&Texts>) -> Result<Option<Vec<String>>, ComposeError> {
        match given {
            None => Ok(None),
            Some(Texts::One(line)) => {
                let split = words(&self.text(key, line)?);
                split.map(Some).map_err(|error| self.wrong(key, error.to_string()))
            }
            Some(Texts::Many(list)) => self.list(key, list).map(Some),
        }
    }

    fn depends_on(
        &self,
        given: Option<&Listed<Keys<DependencyFile>>>,
    ) -> Result<BTreeMap<String, Condition>, ComposeError> {
        match given {
            None => Ok(BTreeMap::new()),
            Some(Listed::List(names)) => Ok(names.iter().map(|name| (name.clone(), Condition::Started)).collect()),
            Some(Listed::Map(map)) => map
                .iter()
                // What may be missing, and is, is waited for by nobody.
                .filter(|(name, Keys(on))| on.required != Some(false) || self.others.contains_key(*name))
                .map(|(name, Keys(on))| Ok((name.clone(), self.condition(on)?)))
                .collect(),
        }
    }

    fn condition(&self, on: &DependencyFile) -> Result<Condition, ComposeError> {
        let condition = self.given("depends_on", on.condition.as_ref())?;
        match condition.as_deref() {
            None | Some("service_started") => Ok(Condition::Started),
            Some("service_healthy") => Ok(Condition::Healthy),
            Some("service_completed_successfully") => Ok(Condition::Completed),
            Some(other) => Err(self.wrong(
                "depends_on",
                format!(
                    "'{other}' is no condition; use service_started, service_healthy or service_completed_successfully"
                ),
            )),
        }
    }

    fn health(&self, file: &HealthFile) -> Result<HealthCheck, ComposeError> {
        let time = |key: &str, given: Option<&Scalar>| {
            let key = format!("healthcheck.{key}");
            let read = self.given(&key, given)?;
            let parsed = read.map(|text| {
                let wrong = || self.wrong(&key, format!("'{text}' is no duration; use for example 10s or 1m30s"));
                duration(&text).ok_or_else(wrong)
            });
            parsed.transpose()
        };
        let retries = self.given("healthcheck.retries", file.retries.as_ref())?.map(|text| {
            text.parse().map_err(|_| self.wrong("healthcheck.retries", format!("'{text}' is no whole number")))
        });
        Ok(HealthCheck {
            test: self.test(file)?,
            interval: time("interval", file.interval.as_ref())?,
            timeout: time("timeout", file.timeout.as_ref())?,
            retries: retries.transpose()?,
            start_period: time("start_period", file.start_period.as_ref())?,
            start_interval: time("start_interval", file.start_interval.as_ref())?,
        })
    }

    fn test(&self, file: &HealthFile) -> Result<HealthTest, ComposeError> {
        let key = "healthcheck.test";
        if file.disable == Some(true) {
            return Ok(HealthTest::None);
        }
        let list = match &file.test {
            None => return Ok(HealthTest::OfImage),
            Some(Texts::One(line)) => return Ok(HealthTest::Shell(self.text(key, line)?)),
            Some(Texts::Many(list)) => self.list(key, list)?,
        };
        match list.split_first() {
            Some((kind, [])) if kind == "NONE" => Ok(HealthTest::None),
            Some((kind, [line])) if kind == "CMD-SHELL" => Ok(HealthTest::Shell(line.clone())),
            Some((kind, command)) if kind == "CMD" && !command.is_empty() => Ok(HealthTest::Command(command.to_vec())),
            _ => Err(self.wrong(key, "begins with none of CMD, CMD-SHELL and NONE, or has too few words")),
        }
    }

    /// `name:/path[:ro]`, `/path`, or the long form; `index` tells nameless ones of a service apart.
    fn volume(&self, given: &Form<MountFile>, index: usize) -> Result<VolumeUse, ComposeError> {
        let (name, target, access) = match given {
            Form::Short(given) => {
                let text = self.text("volumes", given)?;
                let parts: Vec<String> = text.split(':').map(str::to_owned).collect();
                match <[String; 3]>::try_from(parts) {
                    Ok([name, target, access]) => (Some(name), target, access),
                    Err(parts) => match <[String; 2]>::try_from(parts) {
                        Ok([name, target]) => (Some(name), target, "rw".to_owned()),
                        Err(_) => (None, text, "rw".to_owned()),
                    },
                }
            }
            Form::Long(mount) => {
                let kind = self.needed("volumes.type", mount.kind.as_ref())?;
                if kind != "volume" {
                    let message = format!("is '{kind}'; {ONLY_NAMED}");
                    return Err(self.wrong("volumes.type", message));
                }
                let access = if mount.read_only == Some(true) { "ro" } else { "rw" };
                let name = self.given("volumes.source", mount.source.as_ref())?;
                (name, self.needed("volumes.target", mount.target.as_ref())?, access.to_owned())
            }
        };
        let is_anonymous = name.is_none();
        let name = name.unwrap_or_else(|| format!("{}-anonymous-{}", self.name, index + 1));
        if !is_name(&name) {
            return Err(self.wrong("volumes", format!("'{name}:{target}' mounts a path of the host; {ONLY_NAMED}")));
        }
        if !target.starts_with('/') || !matches!(access.as_str(), "rw" | "ro") {
            let shown = if is_anonymous { target } else { format!("{name}:{target}") };
            return Err(self.wrong("volumes", format!("'{shown}' is not name:/path, name:/path:ro or /path")));
        }
        Ok(VolumeUse { name, target, read_only: access == "ro", is_anonymous })
    }
}

/// Why there is nothing but volumes.
const ONLY_NAMED: &str =
    "only volumes are supported, because the engine may not see the workspace: put files into the image";

fn networks(given: Option<&Listed<Option<Keys<NetworkUse>>>>) -> BTreeMap<String, Vec<String>> {
    match given {
        None => BTreeMap::new(),
        Some(Listed::List(names)) => names.iter().map(|name| (name.clone(), Vec::new())).collect(),
        Some(Listed::Map(map)) => {
            let aliases = |used: &Option<Keys<NetworkUse>>| used.as_ref().and_then(|Keys(used)| used.aliases.clone());
            map.iter().map(|(name, used)| (name.clone(), aliases(used).unwrap_or_default())).collect()
        }
    }
}
