//! Expressions: that they parse, and which steps, jobs and inputs they speak of.
//!
//! The grammar is GitHub's ("evaluate expressions in workflows and actions"): literals, contexts with `.name`, `['name']`
//! and `.*`, calls of known functions, `!`, comparisons, `&&`, `||`, parentheses.

use serde_json::Value;

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
        let paths = parse(&expression).map_err(|error| format!("'{expression}' is no expression: {error}"))?;
        found.extend(paths.iter().filter_map(|path| reference(path)));
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

const CONTEXTS: [&str; 12] =
    ["github", "env", "vars", "job", "jobs", "steps", "runner", "secrets", "strategy", "matrix", "needs", "inputs"];
const FUNCTIONS: [&str; 13] = [
    "contains",
    "startswith",
    "endswith",
    "format",
    "join",
    "tojson",
    "fromjson",
    "hashfiles",
    "case",
    "success",
    "always",
    "cancelled",
    "failure",
];

/// Parses an expression; gives the context paths that it reads, `*` for what is computed.
fn parse(text: &str) -> Result<Vec<Vec<String>>, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, paths: Vec::new() };
    parser.either()?;
    match parser.peek() {
        None => Ok(parser.paths),
        Some(token) => Err(format!("'{token}' is too much")),
    }
}

fn tokens(text: &str) -> Result<Vec<String>, String> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&c) = chars.get(at) {
        let start = at;
        at += 1;
        if c.is_whitespace() {
            continue;
        }
        if c == '\'' {
            // A quote within is written twice.
            loop {
                match (chars.get(at), chars.get(at + 1)) {
                    (Some('\''), Some('\'')) => at += 2,
                    (Some('\''), _) => break,
                    (Some(_), _) => at += 1,
                    (None, _) => return Err("a text does not end".into()),
                }
            }
            at += 1;
        } else if c.is_ascii_alphanumeric() || c == '_' || c == '-' {
            let more = |c: &char| c.is_ascii_alphanumeric() || "_-".contains(*c);
            let is_number = c.is_ascii_digit() || c == '-';
            while chars.get(at).is_some_and(|c| more(c) || is_number && *c == '.') {
                at += 1;
            }
        } else if "=!<>&|".contains(c)
            && chars.get(at).is_some_and(|next| *next == '=' || (*next == c && "&|".contains(c)))
        {
            at += 1;
        } else if !"()[].,*!<>".contains(c) {
            return Err(format!("'{c}' has no meaning"));
        }
        tokens.push(chars[start..at].iter().collect());
    }
    Ok(tokens)
}

struct Parser {
    tokens: Vec<String>,
    at: usize,
    paths: Vec<Vec<String>>,
}

impl Parser {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn take(&mut self) -> Result<String, String> {
        self.at += 1;
        self.tokens.get(self.at - 1).cloned().ok_or_else(|| "it ends too early".to_owned())
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        let found = self.take()?;
        if found == token { Ok(()) } else { Err(format!("'{found}' stands where '{token}' must")) }
    }

    fn chain(&mut self, signs: &[&str], next: fn(&mut Self) -> Result<(), String>) -> Result<(), String> {
        next(self)?;
        while self.peek().is_some_and(|token| signs.contains(&token)) {
            self.at += 1;
            next(self)?;
        }
        Ok(())
    }

    fn either(&mut self) -> Result<(), String> {
        self.chain(&["||"], Self::both)
    }

    fn both(&mut self) -> Result<(), String> {
        self.chain(&["&&"], Self::comparison)
    }

    fn comparison(&mut self) -> Result<(), String> {
        self.chain(&["==", "!=", "<", "<=", ">", ">="], Self::negation)
    }

    fn negation(&mut self) -> Result<(), String> {
        while self.peek() == Some("!") {
            self.at += 1;
        }
        self.value()
    }

    fn value(&mut self) -> Result<(), String> {
        let token = self.take()?;
        let first = token.chars().next().unwrap_or(' ');
        if token == "(" {
            self.either()?;
            self.expect(")")?;
            return self.accesses(None);
        }
        if first == '\'' || ["true", "false", "null", "NaN", "Infinity"].contains(&token.as_str()) {
            return Ok(());
        }
        if first.is_ascii_digit() || first == '-' {
            let number = token.parse::<f64>().is_ok() || token.starts_with("0x");
            return if number { Ok(()) } else { Err(format!("'{token}' is no number")) };
        }
        if !first.is_ascii_alphabetic() && first != '_' {
            return Err(format!("'{token}' stands where a value must"));
        }
        let name = token.to_ascii_lowercase();
        if self.peek() == Some("(") {
            if !FUNCTIONS.contains(&name.as_str()) {
                return Err(format!("there is no function '{token}'"));
            }
            self.arguments()?;
            return self.accesses(None);
        }
        if !CONTEXTS.contains(&name.as_str()) {
            return Err(format!("there is no context '{token}'"));
        }
        self.accesses(Some(vec![name]))
    }

    fn arguments(&mut self) -> Result<(), String> {
        self.expect("(")?;
        if self.peek() == Some(")") {
            return self.expect(")");
        }
        self.chain(&[","], Self::either)?;
        self.expect(")")
    }

    /// `.name`, `.*`, `['name']`, `[computed]`, behind a context's name or behind any other value.
    fn accesses(&mut self, path: Option<Vec<String>>) -> Result<(), String> {
        let mut path = path;
        loop {
            let part = match self.peek() {
                Some(".") => {
                    self.at += 1;
                    let name = self.take()?;
                    let is_name = name == "*" || name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
                    if !is_name {
                        return Err(format!("'{name}' stands where a name must"));
                    }
                    name
                }
                Some("[") => {
                    self.at += 1;
                    let start = self.at;
                    if self.peek() == Some("*") {
                        self.at += 1;
                    } else {
                        self.either()?;
                    }
                    let literal = &self.tokens[start..self.at];
                    let name = match literal {
                        [one] if one.starts_with('\'') => one.trim_matches('\'').to_owned(),
                        _ => "*".to_owned(),
                    };
                    self.expect("]")?;
                    name
                }
                _ => break,
            };
            if let Some(path) = &mut path {
                path.push(part);
            }
        }
        self.paths.extend(path);
        Ok(())
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
