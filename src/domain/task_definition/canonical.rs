//! Purpose: the form in which two task definitions are equal exactly when ECS holds the same for both.
//!
//! Lists whose entries have an identity (environment by name, ports by number) become maps, so that order does not
//! count; what ECS fills in (botocore `service-2.json`, "default" in the documentation of each member) goes;
//! absent, null and empty are one.

use serde_json::{Map, Value, json};

use super::TaskDefinition;

/// A value with lists of identified entries turned into maps. Keys are sorted.
pub(super) type Canonical = Value;

/// Identity of a list's entries, by the list's key: the key of the entry that names it.
const IDENTITIES: &[(&str, &str)] = &[
    ("containerDefinitions", "name"),
    ("environment", "name"),
    ("secrets", "name"),
    ("secretOptions", "name"),
    ("tags", "key"),
    ("volumes", "name"),
    ("ulimits", "name"),
    ("properties", "name"),
    ("mountPoints", "containerPath"),
    ("volumesFrom", "sourceContainer"),
    ("dependsOn", "containerName"),
    ("extraHosts", "hostname"),
    ("systemControls", "namespace"),
    ("resourceRequirements", "type"),
    ("devices", "hostPath"),
    ("tmpfs", "containerPath"),
    ("inferenceAccelerators", "deviceName"),
    ("placementConstraints", "expression"),
];

/// Lists of plain values whose order means nothing.
const SETS: &[&str] = &["requiresCompatibilities", "add", "drop", "links", "dockerSecurityOptions", "ignoredExitCodes"];

/// What ECS fills in, by the key of the structure it is in (empty: the task definition itself).
fn default_of(parent: &str, key: &str) -> Option<Value> {
    Some(match (parent, key) {
        ("", "networkMode") => json!("bridge"),
        ("", "enableFaultInjection")
        | (
            "containerDefinitions",
            "disableNetworking" | "privileged" | "readonlyRootFilesystem" | "interactive" | "pseudoTerminal",
        )
        | ("mountPoints" | "volumesFrom", "readOnly")
        | ("linuxParameters", "initProcessEnabled")
        | ("dockerVolumeConfiguration", "autoprovision")
        | ("volumes", "configuredAtLaunch") => json!(false),
        ("containerDefinitions", "cpu") | ("healthCheck", "startPeriod") => json!(0),
        ("containerDefinitions", "essential") => json!(true),
        ("containerDefinitions", "versionConsistency") => json!("enabled"),
        ("portMappings", "protocol") => json!("tcp"),
        ("healthCheck", "interval") => json!(30),
        ("healthCheck", "timeout") => json!(5),
        ("healthCheck", "retries") => json!(3),
        ("efsVolumeConfiguration" | "s3filesVolumeConfiguration", "rootDirectory") => json!("/"),
        ("efsVolumeConfiguration", "transitEncryption") | ("authorizationConfig", "iam") => {
            json!("DISABLED")
        }
        _ => return None,
    })
}

/// The canonical form of a definition.
pub(super) fn of(definition: &TaskDefinition) -> Canonical {
    let mode = definition.0.get("networkMode").and_then(Value::as_str).unwrap_or("bridge");
    let form = Form { host_port_is_container_port: matches!(mode, "awsvpc" | "host") };
    form.object("", &definition.0).unwrap_or_else(|| json!({}))
}

struct Form {
    host_port_is_container_port: bool,
}

impl Form {
    /// The canonical form of a value below the key `key` of the structure `parent`; nothing if it says nothing.
    fn value(&self, parent: &str, key: &str, value: &Value) -> Option<Value> {
        let value = match value {
            Value::Null => None,
            Value::Object(object) => self.object(key, object),
            Value::Array(entries) => self.list(key, entries),
            scalar => Some(normal_scalar(parent, key, scalar)),
        }?;
        (default_of(parent, key).as_ref() != Some(&value)).then_some(value)
    }

    fn object(&self, name: &str, object: &Map<String, Value>) -> Option<Value> {
        let mut keys: Vec<&String> = object.keys().collect();
        keys.sort();
        let mut form = Map::new();
        for key in keys {
            if name == "portMappings" && self.is_filled_in_host_port(key, object) {
                continue;
            }
            if let Some(value) = self.value(name, key, &object[key]) {
                form.insert(key.clone(), value);
            }
        }
        (!form.is_empty()).then_some(Value::Object(form))
    }

    /// A host port that says nothing: 0 is "any", and in awsvpc and host mode it can only be the container's own.
    fn is_filled_in_host_port(&self, key: &str, mapping: &Map<String, Value>) -> bool {
        key == "hostPort"
            && (mapping[key] == json!(0)
                || (self.host_port_is_container_port && mapping.get("containerPort") == Some(&mapping[key])))
    }

    fn list(&self, key: &str, entries: &[Value]) -> Option<Value> {
        // Tags of AWS's own (`aws:…`) cannot be registered, only be found there.
        let own = |entry: &&Value| key == "tags" && entry.get("key").is_some_and(|key| text(key).starts_with("aws:"));
        let entries: Vec<&Value> = entries.iter().filter(|entry| !own(entry)).collect();
        if entries.is_empty() {
            return None;
        }
        if entries.iter().all(|entry| entry.is_object())
            && let Some(identities) = entries.iter().map(|entry| identity(key, entry)).collect::<Option<Vec<_>>>()
        {
            return Some(self.keyed(key, identities, &entries));
        }
        let mut list: Vec<Value> = entries
            .into_iter()
            .map(|entry| match entry {
                Value::Object(object) => self.object(key, object).unwrap_or_else(|| json!({})),
                other => (*other).clone(),
            })
            .collect();
        if SETS.contains(&key) {
            list.sort_by_key(ToString::to_string);
        }
        Some(Value::Array(list))
    }

    /// Entries as a map by identity; a second entry of one identity keeps its place behind the first.
    fn keyed(&self, key: &str, identities: Vec<String>, entries: &[&Value]) -> Value {
        let mut pairs: Vec<(String, Value)> = Vec::new();
        for (mut identity, entry) in identities.into_iter().zip(entries) {
            while pairs.iter().any(|(known, _)| *known == identity) {
                identity.push('\'');
            }
            let form = entry.as_object().and_then(|object| self.object(key, object)).unwrap_or_else(|| json!({}));
            pairs.push((identity, form));
        }
        pairs.sort_by(|one, other| one.0.cmp(&other.0));
        Value::Object(pairs.into_iter().collect())
    }
}

fn identity(list: &str, entry: &Value) -> Option<String> {
    if list == "portMappings" {
        let protocol = entry.get("protocol").and_then(Value::as_str).unwrap_or("tcp");
        let port = entry.get("containerPort").or_else(|| entry.get("containerPortRange"))?;
        return Some(format!("{}/{protocol}", text(port)));
    }
    let (_, key) = IDENTITIES.iter().find(|(name, _)| *name == list)?;
    entry.get(key).map(text)
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Task-level CPU and memory are texts of a number: ECS turns `1 vCPU` into `1024` and `2 GB` into `2048`
/// (API reference, RegisterTaskDefinition, `cpu` and `memory`).
fn normal_scalar(parent: &str, key: &str, value: &Value) -> Value {
    if !parent.is_empty() || !matches!(key, "cpu" | "memory") {
        return value.clone();
    }
    let said = text(value);
    let lower = said.trim().to_ascii_lowercase();
    let unit = if key == "cpu" { "vcpu" } else { "gb" };
    match lower.strip_suffix(unit).map(|number| number.trim().parse::<f64>()) {
        Some(Ok(number)) => json!(format!("{}", number * 1024.0)),
        _ => json!(lower),
    }
}
