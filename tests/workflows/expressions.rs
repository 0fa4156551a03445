//! Expressions: that they parse, and which steps, jobs and inputs they speak of.

use serde_json::Value;

use super::expression::parse;
use super::{workflows, yaml};

/// Something that an expression reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reference {
    /// `steps.<id>`, and the output when one is named.
    Step { id: String, output: Option<String> },
    /// `needs.<job>`, and the output when one is named.
    Need { job: String, output: Option<String> },
    /// `inputs.<name>`, `github.event.inputs.<name>`.
    Input(String),
    /// `matrix.<name>`.
    Matrix(String),
}

/// What all expressions of a piece of a workflow read.
pub(crate) fn references(value: &Value) -> Result<Vec<Reference>, String> {
    let mut found = Vec::new();
    for expression in expressions(value)? {
        let node = parse(&expression).map_err(|error| format!("'{expression}' is no expression: {error}"))?;
        found.extend(node.paths().iter().filter_map(|path| reference(path)));
    }
    Ok(found)
}

/// All expressions: what stands in `${{ }}`, and `if:` without.
fn expressions(value: &Value) -> Result<Vec<String>, String> {
    let mut found = Vec::new();
    collect(value, false, &mut found)?;
    Ok(found)
}

fn collect(value: &Value, bare: bool, found: &mut Vec<String>) -> Result<(), String> {
    match value {
        Value::String(text) if bare && !text.contains("${{") => found.push(text.clone()),
        Value::String(text) => {
            let mut rest = text.as_str();
            while let Some((_, after)) = rest.split_once("${{") {
                let (inside, behind) =
                    after.split_once("}}").ok_or_else(|| format!("'{text}' does not end its ${{{{"))?;
                found.push(inside.trim().to_owned());
                rest = behind;
            }
        }
        Value::Array(entries) => entries.iter().try_for_each(|entry| collect(entry, false, found))?,
        Value::Object(fields) => fields.iter().try_for_each(|(key, field)| collect(field, key == "if", found))?,
        _ => {}
    }
    Ok(())
}

fn reference(path: &[String]) -> Option<Reference> {
    let parts: Vec<&str> = path.iter().map(String::as_str).collect();
    let output = match parts.as_slice() {
        [_, _, "outputs", name, ..] if *name != "*" => Some((*name).to_owned()),
        _ => None,
    };
    match parts.as_slice() {
        ["steps", id, ..] if *id != "*" => Some(Reference::Step { id: (*id).to_owned(), output }),
        ["needs", job, ..] if *job != "*" => Some(Reference::Need { job: (*job).to_owned(), output }),
        ["inputs", name] | ["github", "event", "inputs", name] => Some(Reference::Input((*name).to_owned())),
        ["matrix", name, ..] => Some(Reference::Matrix((*name).to_owned())),
        _ => None,
    }
}

#[test]
fn every_expression_parses() {
    let mut wrong = Vec::new();
    for path in workflows() {
        if let Err(error) = references(&yaml(&path)) {
            wrong.push(format!("{path}: {error}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn references_are_found_wherever_they_hide() {
    let value = serde_json::json!({
        "if": "steps.a.outputs.b == 'it''s' && !cancelled()",
        "with": { "x": "${{ format('{0}', needs.build.outputs['image']) }} and ${{ matrix.os }}" },
        "env": ["${{ inputs.debug || github.event.inputs.level }}", "${{ fromJSON(steps.c.outputs.json).key[0] }}"],
    });
    let found = references(&value).unwrap();
    let step = |id: &str, output: &str| Reference::Step { id: id.into(), output: Some(output.into()) };
    let need = Reference::Need { job: "build".into(), output: Some("image".into()) };
    let (os, debug) = (Reference::Matrix("os".into()), Reference::Input("debug".into()));
    for wanted in [step("a", "b"), step("c", "json"), need, os, debug, Reference::Input("level".into())] {
        assert!(found.contains(&wanted), "{wanted:?} is not in {found:?}");
    }
}

#[test]
fn what_github_refuses_is_refused() {
    let fine =
        ["a", "1 < 2", "github.sha", "!(success() || always())", "-1.5 == 0x1f", "contains(needs.*.result, 'x')"];
    assert!(fine.iter().skip(1).all(|text| parse(text).is_ok()));
    for wrong in [
        "a",
        "steps.a.outputs.",
        "'open",
        "foo(1)",
        "github.sha ==",
        "(1",
        "a b",
        "github.sha }",
        "steps[",
        "1 1",
        "\"x\"",
    ] {
        assert!(parse(wrong).is_err(), "{wrong}");
    }
    assert!(references(&serde_json::json!("${{ never closed")).is_err());
}
