//! Purpose: the open parts of the config: environments with keys of the user's own, and sections read elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;

use crate::contract::values::List;

/// The settings of one environment.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvironmentSection {
    /// Branch globs that choose this environment for the command `config`.
    pub branches: List,
    /// Everything else: defaults of inputs, and keys of your own that the command `config` gives as outputs.
    #[serde(flatten)]
    pub settings: BTreeMap<String, Setting>,
}

/// A value of an environment: text, number, boolean, list or map, kept in the form that inputs read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting(String);

impl Setting {
    /// The value as an input would be given: a list has one entry per line, a map one `key=value`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.trim_end_matches('\n')
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::contract::values::text_form(deserializer).map(Self)
    }
}

impl JsonSchema for Setting {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Setting".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "number", "boolean", "array", "object"] })
    }
}

/// A section that its own command reads.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Opaque(pub serde_yaml::Value);

impl JsonSchema for Opaque {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Opaque".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }
}
