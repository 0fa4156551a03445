//! Purpose: reading the subset out of YAML.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use super::{Condition, OrderError, Project, ProjectNetwork, Service, VolumeUse, interpolate, start_order};
use crate::domain::container::{HealthCheck, HealthTest, read_ports};
use crate::domain::shell::words;

/// Why a compose file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ComposeError {
    /// YAML that is none, a key outside of the subset, a value of the wrong kind.
    #[error("line {line}: {message}")]
    Place {
        /// The line, counted from 1.
        line: usize,
        /// What is wrong.
        message: String,
    },
    /// A value that means nothing.
    #[error("{path}: {message}")]
    Value {
        /// `services.web.ports`.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// Dependencies that cannot be met.
    #[error(transparent)]
    Order(#[from] OrderError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// Obsolete; every version means the same.
    #[serde(default, rename = "version")]
    _version: Option<serde::de::IgnoredAny>,
    /// The project's name; ours is our own, so that nothing is mixed up.
    #[serde(default, rename = "name")]
    _name: Option<serde::de::IgnoredAny>,
    services: BTreeMap<String, ServiceFile>,
    #[serde(default)]
    volumes: Option<BTreeMap<String, Option<VolumeFile>>>,
    #[serde(default)]
    networks: Option<BTreeMap<String, Option<NetworkFile>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VolumeFile {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkFile {
    #[serde(default)]
    external: bool,
    #[serde(default)]
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    environment: Option<Pairs>,
    #[serde(default)]
    env_file: Option<OneOrMany>,
    #[serde(default)]
    ports: Vec<Scalar>,
    #[serde(default)]
    command: Option<OneOrMany>,
    #[serde(default)]
    entrypoint: Option<OneOrMany>,
    #[serde(default)]
    depends_on: Option<Dependencies>,
    #[serde(default)]
    healthcheck: Option<HealthFile>,
    #[serde(default)]
    volumes: Vec<String>,
    #[serde(default)]
    networks: Option<Networks>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar {
    Text(String),
    Whole(i64),
    Real(f64),
    Flag(bool),
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Whole(number) => number.to_string(),
            Self::Real(number) => number.to_string(),
            Self::Flag(flag) => flag.to_string(),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Pairs {
    Map(BTreeMap<String, Option<Scalar>>),
    List(Vec<String>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<Scalar>),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Dependencies {
    List(Vec<String>),
    Map(BTreeMap<String, Dependency>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Dependency {
    condition: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Networks {
    List(Vec<String>),
    Map(BTreeMap<String, Option<NetworkUse>>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NetworkUse {
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HealthFile {
    #[serde(default)]
    test: Option<OneOrMany>,
    #[serde(default)]
    interval: Option<String>,
    #[serde(default)]
    timeout: Option<String>,
    #[serde(default)]
    retries: Option<Scalar>,
    #[serde(default)]
    start_period: Option<String>,
    #[serde(default)]
    disable: bool,
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Reads a compose file; `lookup` knows the variables that it may name, `images` replace services' images.
///
/// # Errors
/// [`ComposeError`], the first that is found.
pub fn read(text: &str, images: &BTreeMap<String, String>, lookup: Lookup<'_>) -> Result<Project, ComposeError> {
    let file: File = serde_yaml::from_str(text).map_err(|error| place(&error))?;
    if file.services.is_empty() {
        return Err(value("services", "there is none"));
    }
    if let Some(unknown) = images.keys().find(|name| !file.services.contains_key(*name)) {
        let known = file.services.keys().cloned().collect::<Vec<_>>().join(", ");
        return Err(value("images", format!("names '{unknown}', which is no service; there are {known}")));
    }
    let declared = file.volumes.unwrap_or_default();
    let mut networks = BTreeMap::new();
    for (name, network) in file.networks.unwrap_or_default() {
        networks.insert(name.clone(), project_network(&name, network.as_ref(), lookup)?);
    }
    let mut services = BTreeMap::new();
    for (name, service) in &file.services {
        if !is_name(name) {
            return Err(value(&format!("services.{name}"), "is no service's name; use letters, digits, - _ ."));
        }
        let reader = Reader { path: format!("services.{name}"), lookup };
        let service = reader.service(service, images.get(name))?;
        if let Some(used) = service.volumes.iter().find(|used| !declared.contains_key(&used.name)) {
            let message = format!("names the volume '{}', which is not below the top-level key volumes", used.name);
            return Err(value(&format!("services.{name}.volumes"), message));
        }
        if let Some(unknown) = service.networks.keys().find(|used| *used != "default" && !networks.contains_key(*used))
        {
            let message = format!("names '{unknown}', which is not below the top-level key networks");
            return Err(value(&format!("services.{name}.networks"), message));
        }
        services.insert(name.clone(), service);
    }
    start_order(&services)?;
    Ok(Project { services, volumes: declared.into_keys().collect(), networks })
}

fn value(path: &str, message: impl Into<String>) -> ComposeError {
    ComposeError::Value { path: path.to_owned(), message: message.into() }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

fn project_network(
    name: &str,
    network: Option<&NetworkFile>,
    lookup: Lookup<'_>,
) -> Result<ProjectNetwork, ComposeError> {
    let Some(network) = network else {
        return Ok(ProjectNetwork::Own);
    };
    let given = network.name.as_deref().map(|given| interpolate(given, lookup)).transpose();
    let given = given.map_err(|message| value(&format!("networks.{name}.name"), message))?;
    match (network.external, given) {
        (true, given) => Ok(ProjectNetwork::External(given.unwrap_or_else(|| name.to_owned()))),
        (false, None) => Ok(ProjectNetwork::Own),
        (false, Some(_)) => Err(value(&format!("networks.{name}.name"), "is for external networks only")),
    }
}

/// One service's values.
struct Reader<'a> {
    path: String,
    lookup: Lookup<'a>,
}

impl Reader<'_> {
    fn service(&self, file: &ServiceFile, image: Option<&String>) -> Result<Service, ComposeError> {
        let image = match (image, &file.image) {
            (Some(image), _) => image.clone(),
            (None, Some(image)) => self.text("image", image)?,
            (None, None) => return Err(self.wrong("image", "is required: services are not built here")),
        };
        let mut ports = Vec::new();
        for port in &file.ports {
            let port = read_ports(&self.text("ports", &port.text())?);
            ports.extend(port.map_err(|error| self.wrong("ports", error.to_string()))?);
        }
        Ok(Service {
            image,
            environment: self.environment(file.environment.as_ref())?,
            env_files: self.list("env_file", file.env_file.as_ref())?.unwrap_or_default(),
            ports,
            command: self.command("command", file.command.as_ref())?,
            entrypoint: self.command("entrypoint", file.entrypoint.as_ref())?,
            depends_on: self.depends_on(file.depends_on.as_ref())?,
            health: file.healthcheck.as_ref().map(|check| self.health(check)).transpose()?,
            volumes: file.volumes.iter().map(|volume| self.volume(volume)).collect::<Result<_, _>>()?,
            networks: self.networks(file.networks.as_ref()),
        })
    }

    fn wrong(&self, key: &str, message: impl Into<String>) -> ComposeError {
        value(&format!("{}.{key}", self.path), message)
    }

    fn text(&self, key: &str, text: &str) -> Result<String, ComposeError> {
        interpolate(text, self.lookup).map_err(|message| self.wrong(key, message))
    }

    fn environment(&self, pairs: Option<&Pairs>) -> Result<BTreeMap<String, String>, ComposeError> {
        let mut environment = BTreeMap::new();
        let mut set = |name: &str, text: Option<String>| -> Result<(), ComposeError> {
            // A name alone is the surroundings' variable, when they have it.
            let text = match text {
                Some(text) => Some(self.text("environment", &text)?),
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
            Some(Pairs::Map(map)) => {
                for (name, text) in map {
                    set(name, text.as_ref().map(Scalar::text))?;
                }
            }
            Some(Pairs::List(list)) => {
                for entry in list {
                    let (name, text) = entry.split_once('=').map_or((entry.as_str(), None), |(n, v)| (n, Some(v)));
                    set(name, text.map(str::to_owned))?;
                }
            }
        }
        Ok(environment)
    }

    fn list(&self, key: &str, given: Option<&OneOrMany>) -> Result<Option<Vec<String>>, ComposeError> {
        match given {
            None => Ok(None),
            Some(OneOrMany::One(text)) => Ok(Some(vec![self.text(key, text)?])),
            Some(OneOrMany::Many(list)) => {
                list.iter().map(|entry| self.text(key, &entry.text())).collect::<Result<_, _>>().map(Some)
            }
        }
    }

    /// A text is split as a shell would, without running one.
    fn command(&self, key: &str, given: Option<&OneOrMany>) -> Result<Option<Vec<String>>, ComposeError> {
        match given {
            Some(OneOrMany::One(line)) => {
                let split = words(&self.text(key, line)?);
                split.map(Some).map_err(|error| self.wrong(key, error.to_string()))
            }
            given => self.list(key, given),
        }
    }

    fn depends_on(&self, given: Option<&Dependencies>) -> Result<BTreeMap<String, Condition>, ComposeError> {
        let condition = |text: &str| match text {
            "service_started" => Ok(Condition::Started),
            "service_healthy" => Ok(Condition::Healthy),
            "service_completed_successfully" => Ok(Condition::Completed),
            other => Err(self.wrong(
                "depends_on",
                format!(
                    "'{other}' is no condition; use service_started, service_healthy or service_completed_successfully"
                ),
            )),
        };
        match given {
            None => Ok(BTreeMap::new()),
            Some(Dependencies::List(names)) => {
                Ok(names.iter().map(|name| (name.clone(), Condition::Started)).collect())
            }
            Some(Dependencies::Map(map)) => {
                map.iter().map(|(name, on)| Ok((name.clone(), condition(&on.condition)?))).collect()
            }
        }
    }

    fn health(&self, file: &HealthFile) -> Result<HealthCheck, ComposeError> {
        let duration = |key: &str, given: Option<&String>| {
            let read = given.map(|text| self.text(&format!("healthcheck.{key}"), text)).transpose()?;
            let parsed = read.map(|text| {
                duration(&text).ok_or_else(|| {
                    self.wrong(
                        &format!("healthcheck.{key}"),
                        format!("'{text}' is no duration; use for example 10s or 1m30s"),
                    )
                })
            });
            parsed.transpose()
        };
        let retries = file.retries.as_ref().map(|retries| {
            let text = self.text("healthcheck.retries", &retries.text())?;
            text.parse().map_err(|_| self.wrong("healthcheck.retries", format!("'{text}' is no whole number")))
        });
        Ok(HealthCheck {
            test: self.test(file)?,
            interval: duration("interval", file.interval.as_ref())?,
            timeout: duration("timeout", file.timeout.as_ref())?,
            retries: retries.transpose()?,
            start_period: duration("start_period", file.start_period.as_ref())?,
        })
    }

    fn test(&self, file: &HealthFile) -> Result<HealthTest, ComposeError> {
        let key = "healthcheck.test";
        if file.disable {
            return Ok(HealthTest::None);
        }
        match &file.test {
            None => Ok(HealthTest::OfImage),
            Some(OneOrMany::One(line)) => Ok(HealthTest::Shell(self.text(key, line)?)),
            Some(many @ OneOrMany::Many(_)) => {
                let list = self.list(key, Some(many))?.unwrap_or_default();
                match list.split_first() {
                    Some((kind, [])) if kind == "NONE" => Ok(HealthTest::None),
                    Some((kind, [line])) if kind == "CMD-SHELL" => Ok(HealthTest::Shell(line.clone())),
                    Some((kind, command)) if kind == "CMD" && !command.is_empty() => {
                        Ok(HealthTest::Command(command.to_vec()))
                    }
                    _ => Err(self.wrong(key, "begins with none of CMD, CMD-SHELL and NONE, or has too few words")),
                }
            }
        }
    }

    /// `name:/path[:ro]`.
    fn volume(&self, given: &str) -> Result<VolumeUse, ComposeError> {
        let text = self.text("volumes", given)?;
        let parts: Vec<&str> = text.split(':').collect();
        let (name, target, access) = match parts.as_slice() {
            [name, target] => (*name, *target, "rw"),
            [name, target, access] => (*name, *target, *access),
            _ => {
                return Err(
                    self.wrong("volumes", format!("'{text}' is not name:/path; only named volumes are supported"))
                );
            }
        };
        if !is_name(name) {
            let message = format!(
                "'{text}' mounts a path of the host; only named volumes are supported, because the engine may not see the workspace"
            );
            return Err(self.wrong("volumes", message));
        }
        if !target.starts_with('/') || !matches!(access, "rw" | "ro") {
            return Err(self.wrong("volumes", format!("'{text}' is not name:/path or name:/path:ro")));
        }
        Ok(VolumeUse { name: name.to_owned(), target: target.to_owned(), read_only: access == "ro" })
    }

    fn networks(&self, given: Option<&Networks>) -> BTreeMap<String, Vec<String>> {
        match given {
            None => BTreeMap::new(),
            Some(Networks::List(names)) => names.iter().map(|name| (name.clone(), Vec::new())).collect(),
            Some(Networks::Map(map)) => map
                .iter()
                .map(|(name, used)| (name.clone(), used.as_ref().map(|used| used.aliases.clone()).unwrap_or_default()))
                .collect(),
        }
    }
}

/// `1h30m`, `90s`, `500ms` (Compose specification, "specifying durations").
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut all = Duration::ZERO;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let one = match &unit[..end] {
            "us" => Duration::from_micros(number),
            "ms" => Duration::from_millis(number),
            "s" => Duration::from_secs(number),
            "m" => Duration::from_secs(number.checked_mul(60)?),
            "h" => Duration::from_secs(number.checked_mul(3600)?),
            _ => return None,
        };
        all = all.checked_add(one)?;
        rest = &unit[end..];
    }
    Some(all)
}

/// The parser's message without its own place and its words for our types.
fn place(error: &serde_yaml::Error) -> ComposeError {
    let line = error.location().map_or(1, |place| place.line());
    let said = error.to_string();
    let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(before, _)| before);
    let unknown = said.split_once("unknown field `").and_then(|(before, rest)| {
        let (key, known) = rest.split_once('`')?;
        let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
        Some(format!("{before}the key '{key}' is not supported; supported here: {}", known.join(", ")))
    });
    let message = match unknown {
        Some(message) => message,
        None if said.contains("did not match any variant") => {
            let path = said.split_once(": ").map_or("", |(path, _)| path);
            format!("{path}: the value is of a form that is not supported")
        }
        None => match said.split_once("expected struct ") {
            Some((before, _)) => format!("{before}expected a map"),
            None => said.to_owned(),
        },
    };
    ComposeError::Place { line, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(name: &str) -> Option<String> {
        (name == "TAG").then(|| "v7".to_owned())
    }

    fn project(text: &str) -> Result<Project, String> {
        read(text, &BTreeMap::new(), &world).map_err(|error| error.to_string())
    }

    #[test]
    fn reads_the_subset() {
        let text = r#"
services:
  web:
    image: "acme/web:${TAG}"
    environment: { A: 1, B: "x$$y", C: true }
    env_file: .env
    ports: ["8080:80", 9090]
    command: serve --name "a b"
    entrypoint: ["/entry"]
    depends_on:
      db: { condition: service_healthy }
      migrate: { condition: service_completed_successfully }
    networks: { front: { aliases: [www] }, default: {} }
  db:
    image: postgres
    environment: ["POSTGRES_PASSWORD=a=b", "TAG"]
    healthcheck: { test: ["CMD", "pg_isready"], interval: 1m30s, retries: 5, start_period: 500ms }
    volumes: ["data:/var/lib/postgresql/data"]
  migrate: { image: acme/web, depends_on: [db] }
volumes: { data: }
networks: { front: }
"#;
        let project = project(text).unwrap();
        let web = &project.services["web"];
        assert_eq!(web.image, "acme/web:v7");
        assert_eq!(web.environment["B"], "x$y");
        assert_eq!(web.command.as_deref().unwrap(), ["serve", "--name", "a b"]);
        assert_eq!(web.depends_on["migrate"], Condition::Completed);
        assert_eq!(web.networks["front"], ["www"]);
        let db = &project.services["db"];
        assert_eq!((db.environment["POSTGRES_PASSWORD"].as_str(), db.environment["TAG"].as_str()), ("a=b", "v7"));
        assert_eq!(db.health.as_ref().unwrap().interval, Some(Duration::from_secs(90)));
        assert!(project.is_to_complete("migrate") && !project.is_to_complete("db"));
    }

    #[test]
    fn what_is_not_in_the_subset_is_named_with_its_line() {
        for (text, expected) in [
            (
                "services:\n  web:\n    image: a\n    build: .\n",
                "line 4: services.web: the key 'build' is not supported",
            ),
            ("services:\n  web:\n    image: a\n    deploy: {}\n", "line 4: services.web: the key 'deploy'"),
            ("services: {}\nsecrets: {}\n", "line 2: the key 'secrets' is not supported"),
            (
                "services:\n  web:\n    image: a\n    volumes: ['./src:/src']\n",
                "services.web.volumes: './src:/src' mounts a path",
            ),
            (
                "services:\n  web:\n    image: a\n    volumes: ['data:/src']\n",
                "services.web.volumes: names the volume 'data'",
            ),
            ("services:\n  web: {}\n", "services.web.image: is required"),
            ("services:\n  web: { image: '${NOPE}' }\n", "services.web.image: the variable NOPE is not set"),
            ("services:\n  web: { image: a, depends_on: [db] }\n", "services.web.depends_on names 'db'"),
            (
                "services:\n  web: { image: a, depends_on: { web: { condition: x } } }\n",
                "services.web.depends_on: 'x' is no condition",
            ),
            ("services: [", "line "),
        ] {
            let error = project(text).unwrap_err();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    #[test]
    fn the_shipped_example_is_within_the_subset() {
        let project = project(include_str!("../../../examples/build-once/test/compose.yml")).unwrap();
        assert_eq!(start_order(&project.services).unwrap(), ["db", "migrate", "app"]);
        assert!(project.is_to_complete("migrate"));
    }

    #[test]
    fn images_can_be_replaced() {
        let images = |name: &str| BTreeMap::from([(name.to_owned(), "acme/web:pr-1".to_owned())]);
        let text = "services:\n  web: { image: acme/web }\n";
        assert_eq!(read(text, &images("web"), &world).unwrap().services["web"].image, "acme/web:pr-1");
        let error = read(text, &images("wep"), &world).unwrap_err().to_string();
        assert_eq!(error, "images: names 'wep', which is no service; there are web");
    }

    #[test]
    fn durations() {
        assert_eq!(duration("1h1m1s1ms"), Some(Duration::from_millis(3_661_001)));
        for wrong in ["", "5", "5d", "s", "-1s", "1s2"] {
            assert_eq!(duration(wrong), None, "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_it(text in "[a-z:{}\\[\\]\n \"$-]{0,80}") {
            let _ = project(&text);
            let _ = project(&format!("services:\n  web:\n    image: a\n    {text}"));
            let _ = duration(&text);
        }
    }
}
