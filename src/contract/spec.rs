//! Purpose: what a struct of inputs or outputs says about its fields, read from its JSON Schema.

use schemars::{JsonSchema, SchemaGenerator};
use serde_json::Value;

/// One input.
#[derive(Debug, Clone)]
pub struct InputSpec {
    /// Canonical name, snake case.
    pub name: String,
    /// What it means, in Markdown.
    pub description: String,
    /// Further names that are accepted.
    pub aliases: Vec<String>,
    /// What its value looks like, in one or two words.
    pub kind: String,
    /// Whether its value (or, for a map, each of its values) must never be printed.
    pub secret: bool,
}

/// One output.
#[derive(Debug, Clone)]
pub struct OutputSpec {
    /// Name, snake case.
    pub name: String,
    /// What it means, in Markdown.
    pub description: String,
}

/// The inputs of a struct, in order of declaration.
#[must_use]
pub fn inputs<T: JsonSchema>() -> Vec<InputSpec> {
    fields::<T>()
        .into_iter()
        .map(|(name, field)| InputSpec {
            description: description(&field),
            aliases: strings(&field["x-aliases"]),
            kind: kind(&field),
            secret: field["x-secret"] == Value::Bool(true),
            name,
        })
        .collect()
}

/// The outputs of a struct, in order of declaration.
#[must_use]
pub fn outputs<T: JsonSchema>() -> Vec<OutputSpec> {
    fields::<T>().into_iter().map(|(name, field)| OutputSpec { description: description(&field), name }).collect()
}

fn fields<T: JsonSchema>() -> Vec<(String, Value)> {
    let mut generator: SchemaGenerator = schemars::generate::SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator();
    let schema = T::json_schema(&mut generator);
    let properties = schema.as_value()["properties"].as_object().cloned().unwrap_or_default();
    properties.into_iter().collect()
}

/// The doc comment on one line per paragraph: line breaks of the source mean nothing to a reader.
fn description(field: &Value) -> String {
    let text = field["description"].as_str().unwrap_or_default();
    let paragraphs = text.split("\n\n").map(|paragraph| paragraph.split_whitespace().collect::<Vec<_>>().join(" "));
    paragraphs.collect::<Vec<_>>().join("\n\n")
}

fn kind(field: &Value) -> String {
    let listed = |values: &Value| strings(values).iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ");
    // An optional field is `anyOf: [T, null]`: look at the first alternative.
    let inner = field["anyOf"].get(0).unwrap_or(field);
    let inner = if inner.get("x-kind").is_some() || inner.get("enum").is_some() { inner } else { field };
    match (inner["x-kind"].as_str(), &inner["enum"]) {
        (Some("flag"), _) => "boolean".to_owned(),
        (Some(kind), _) => kind.to_owned(),
        (None, Value::Array(_)) => listed(&inner["enum"]),
        _ => "text".to_owned(),
    }
}

fn strings(values: &Value) -> Vec<String> {
    let values = values.as_array().map(Vec::as_slice).unwrap_or_default();
    values.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}
