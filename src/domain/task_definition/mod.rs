//! Purpose: an ECS task definition as the document it is.
//!
//! One rule: the document goes to ECS as it was written, except for what we are asked to set and the read-only
//! keys. Nothing is dropped because it is empty or unknown to us.

use serde_json::{Map, Value};

mod canonical;
mod diff;
mod edit;
mod keys;
#[cfg(test)]
mod tests;

pub use diff::{Change, Shown};
pub use edit::Presence;
pub use keys::{READ_ONLY, siblings};

/// How a task definition is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON.
    Json,
    /// YAML 1.2, anchors and merge keys included.
    Yaml,
}

impl Format {
    /// The format of a file, by its name's ending; by its first character when the name says nothing.
    #[must_use]
    pub fn of(file: &str, text: &str) -> Self {
        let ending = file.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
        match ending.as_str() {
            "yml" | "yaml" => Self::Yaml,
            "json" => Self::Json,
            _ if text.trim_start().starts_with('{') => Self::Json,
            _ => Self::Yaml,
        }
    }
}

/// Why a document is no usable task definition. Messages fit behind "task definition … ".
#[derive(Debug, thiserror::Error)]
pub enum TaskDefinitionError {
    /// Not JSON.
    #[error("is not JSON (line {line}, column {column})")]
    NotJson {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Not YAML.
    #[error("is not YAML")]
    NotYaml(#[source] serde_yaml::Error),
    /// JSON, but not a task definition.
    #[error("has no usable {key}: expected {expected}")]
    WrongShape {
        /// Path of the key.
        key: String,
        /// What belongs there.
        expected: &'static str,
    },
    /// A container was named that the definition does not have.
    #[error("has no container '{name}'; its containers are: {}", .known.join(", "))]
    UnknownContainer {
        /// The name as given.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A container must be named, because there are several.
    #[error("has several containers, and none is named; its containers are: {}", .known.join(", "))]
    AmbiguousContainer {
        /// The names there are.
        known: Vec<String>,
    },
}

impl TaskDefinitionError {
    /// The line that the error is about, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self {
            Self::NotJson { line, .. } => Some(*line),
            Self::NotYaml(source) => source.location().map(|location| location.line()),
            _ => None,
        }
    }
}

/// What reading a document found besides the definition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notes {
    /// Paths of keys that ECS is not known to have; they are passed through.
    pub unknown_keys: Vec<String>,
    /// Read-only keys that were removed.
    pub removed: Vec<&'static str>,
}

/// A task definition without read-only keys, in the order in which it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct TaskDefinition(Map<String, Value>);

impl TaskDefinition {
    /// Reads a document. An answer of `aws ecs describe-task-definition` is accepted as well.
    ///
    /// # Errors
    /// When it is not JSON or YAML, has no family, or no list of named containers.
    pub fn parse(text: &str, format: Format) -> Result<(Self, Notes), TaskDefinitionError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let value = match format {
            Format::Json => serde_json::from_str(text).map_err(|source| TaskDefinitionError::NotJson {
                line: source.line(),
                column: source.column(),
                source,
            })?,
            Format::Yaml => from_yaml(text).map_err(TaskDefinitionError::NotYaml)?,
        };
        Self::of_value(value)
    }

    /// Takes a definition out of an answer of DescribeTaskDefinition or RegisterTaskDefinition, tags included.
    ///
    /// # Errors
    /// When the answer is not what ECS documents.
    pub fn of_answer(answer: Value) -> Result<Self, TaskDefinitionError> {
        Self::of_value(answer).map(|(definition, _)| definition)
    }

    fn of_value(value: Value) -> Result<(Self, Notes), TaskDefinitionError> {
        let Value::Object(document) = value else {
            return Err(wrong("document", "an object with family and containerDefinitions"));
        };
        let mut definition = Self(unwrapped(document));
        let mut notes = Notes::default();
        for key in READ_ONLY {
            // `shift_remove` keeps the order of the others.
            if definition.0.shift_remove(key).is_some() {
                notes.removed.push(key);
            }
        }
        definition.check()?;
        notes.unknown_keys = keys::unknown_keys(&definition.0);
        Ok((definition, notes))
    }

    fn check(&self) -> Result<(), TaskDefinitionError> {
        if self.0.get("family").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(wrong("family", "a name"));
        }
        let containers = self.0.get("containerDefinitions").and_then(Value::as_array);
        let Some(containers) = containers.filter(|containers| !containers.is_empty()) else {
            return Err(wrong("containerDefinitions", "a list of at least one container"));
        };
        for (index, container) in containers.iter().enumerate() {
            if container.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
                return Err(wrong(&format!("containerDefinitions[{index}].name"), "a name"));
            }
        }
        Ok(())
    }

    /// The document, as it is to be sent.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.0.clone())
    }

    /// The family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.0.get("family").and_then(Value::as_str).unwrap_or_default()
    }

    /// The containers, in order.
    pub fn containers(&self) -> impl Iterator<Item = Container<'_>> {
        let containers = self.0.get("containerDefinitions").and_then(Value::as_array);
        containers.into_iter().flatten().map(Container)
    }

    /// The names of the containers, in order.
    #[must_use]
    pub fn container_names(&self) -> Vec<String> {
        self.containers().map(|container| container.name().to_owned()).collect()
    }

    /// Whether ECS would hold the same: order and defaults that ECS does not keep apart do not count.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        canonical::of(self) == canonical::of(other)
    }

    /// What changes from `self` to `after`, sorted, with values that look secret hidden.
    #[must_use]
    pub fn changes_to(&self, after: &Self) -> Vec<Change> {
        diff::between(&canonical::of(self), &canonical::of(after))
    }
}

/// One container of a definition.
#[derive(Debug, Clone, Copy)]
pub struct Container<'a>(&'a Value);

impl<'a> Container<'a> {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'a str {
        self.text("name").unwrap_or_default()
    }

    /// Its image.
    #[must_use]
    pub fn image(&self) -> Option<&'a str> {
        self.text("image")
    }

    /// Whether the task ends when it ends; ECS's default is yes.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        self.0.get("essential").and_then(Value::as_bool).unwrap_or(true)
    }

    /// Where its log goes, when that is CloudWatch.
    #[must_use]
    pub fn awslogs(&self) -> Option<LogTarget> {
        let configuration = self.0.get("logConfiguration")?;
        if configuration.get("logDriver")?.as_str()? != "awslogs" {
            return None;
        }
        let options = configuration.get("options")?;
        let option = |key: &str| options.get(key).and_then(Value::as_str).map(str::to_owned);
        Some(LogTarget {
            group: option("awslogs-group")?,
            region: option("awslogs-region"),
            prefix: option("awslogs-stream-prefix"),
            created: option("awslogs-create-group").is_some_and(|value| value == "true"),
        })
    }

    /// Names and sources of its secrets.
    pub fn secrets(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let secrets = self.0.get("secrets").and_then(Value::as_array);
        secrets.into_iter().flatten().filter_map(|secret| {
            let text = |key: &str| secret.get(key).and_then(Value::as_str);
            Some((text("name")?, text("valueFrom")?))
        })
    }

    fn text(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

/// Where a container logs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogTarget {
    /// Log group.
    pub group: String,
    /// Region, when it is not the task's own.
    pub region: Option<String>,
    /// Prefix of the stream; without one the stream's name is the container's Docker id, which ECS does not tell.
    pub prefix: Option<String>,
    /// Whether the driver creates the group.
    pub created: bool,
}

impl LogTarget {
    /// The stream of one container of one task (ECS documentation, `awslogs-stream-prefix`).
    #[must_use]
    pub fn stream(&self, container: &str, task_id: &str) -> Option<String> {
        self.prefix.as_ref().map(|prefix| format!("{prefix}/{container}/{task_id}"))
    }
}

fn from_yaml(text: &str) -> Result<Value, serde_yaml::Error> {
    let mut value: serde_yaml::Value = serde_yaml::from_str(text)?;
    value.apply_merge()?;
    serde_yaml::from_value(value)
}

/// The inside of `{"taskDefinition": {…}, "tags": […]}`; anything else as it is.
fn unwrapped(mut document: Map<String, Value>) -> Map<String, Value> {
    let wrapped = document.keys().all(|key| key == "taskDefinition" || key == "tags");
    match document.shift_remove("taskDefinition") {
        Some(Value::Object(mut inside)) if wrapped => {
            if let Some(tags) =
                document.shift_remove("tags").filter(|tags| tags.as_array().is_some_and(|tags| !tags.is_empty()))
            {
                inside.entry("tags").or_insert(tags);
            }
            inside
        }
        Some(other) => {
            document.insert("taskDefinition".to_owned(), other);
            document
        }
        None => document,
    }
}

fn wrong(key: &str, expected: &'static str) -> TaskDefinitionError {
    TaskDefinitionError::WrongShape { key: key.to_owned(), expected }
}
