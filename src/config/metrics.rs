//! Purpose: the config's section `metrics`: what is measured, in which classes, against which limits.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};

use crate::contract::values::{Count, List, Percent, Size, Span};

/// Settings of the command `metrics`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Metrics {
    /// Workflows that are measured, by name or file name; `*` matches anything.
    pub workflows: Option<List>,
    /// Images that are counted: repositories without tag.
    pub images: Option<List>,
    /// Limits; an input of the same name wins.
    pub thresholds: ThresholdSettings,
    /// Classes of images, in order: patterns of tags by name of the class. An image belongs to the first class that one
    /// of its tags is in.
    pub classes: Option<ImageClasses>,
    /// Which steps build, pull and clean up images.
    pub steps: StepNames,
}

/// Limits of `metrics`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ThresholdSettings {
    /// Longest mean duration of a workflow.
    pub max_build_time: Option<Span>,
    /// Highest failure rate of a workflow.
    pub max_failure_rate: Option<Percent>,
    /// Most bytes of images.
    pub max_storage: Option<Size>,
    /// Most builds of one commit beyond the first.
    pub max_redundant_builds: Option<Count>,
    /// Lowest success rate of steps that pull images.
    pub min_pull_success: Option<Percent>,
    /// Lowest success rate of steps that clean up.
    pub min_cleanup_success: Option<Percent>,
}

/// Names of steps, or of jobs that do nothing else; `*` matches anything, case does not matter.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StepNames {
    /// Steps that build an image.
    pub build: Option<List>,
    /// Steps that pull one.
    pub pull: Option<List>,
    /// Steps that clean up.
    pub cleanup: Option<List>,
}

/// Classes in the order of the file.
#[derive(Debug, Clone, Default)]
pub struct ImageClasses(pub Vec<(String, List)>);

impl<'de> Deserialize<'de> for ImageClasses {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = ImageClasses;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of patterns by class")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ImageClasses, A::Error> {
                let mut classes = Vec::new();
                while let Some(class) = map.next_entry()? {
                    classes.push(class);
                }
                Ok(ImageClasses(classes))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl JsonSchema for ImageClasses {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ImageClasses".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let list = generator.subschema_for::<List>();
        json_schema!({ "type": "object", "additionalProperties": list })
    }
}
