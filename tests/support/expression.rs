//! Purpose: GitHub's expression language: what it reads, and what it yields.
//!
//! The grammar and the rules of comparison are GitHub's ("evaluate expressions in workflows and actions"): literals,
//! contexts with `.name`, `['name']` and `.*`, calls of known functions, `!`, comparisons, `&&`, `||`, parentheses. Texts
//! compare without case, unlike types compare as numbers, `&&` and `||` yield one of their sides.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test support: shared by several test binaries, each using a part of it, and free to panic"
)]

use serde_json::{Number, Value};

/// An expression, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Node {
    Literal(Value),
    /// `github`, `steps`, …, in lower case.
    Context(String),
    /// A member by name, number or expression.
    Member(Box<Self>, Box<Self>),
    /// `.*`: all members.
    All(Box<Self>),
    Call(String, Vec<Self>),
    Not(Box<Self>),
    /// `==`, `!=`, `<`, `<=`, `>`, `>=`, `&&`, `||`.
    Binary(String, Box<Self>, Box<Self>),
}

pub(crate) const CONTEXTS: [&str; 12] =
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

/// Parses what stands between `${{` and `}}`, or in an `if:`.
pub(crate) fn parse(text: &str) -> Result<Node, String> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0 };
    let node = parser.either()?;
    match parser.peek() {
        None => Ok(node),
        Some(token) => Err(format!("'{token}' is too much")),
    }
}

impl Node {
    /// The context paths that it reads; `*` stands for a part that is computed.
    pub(crate) fn paths(&self) -> Vec<Vec<String>> {
        let mut found = Vec::new();
        self.collect(&mut found);
        found
    }

    fn collect(&self, found: &mut Vec<Vec<String>>) {
        if let Some(path) = self.path() {
            found.push(path);
        }
        match self {
            Self::Literal(_) | Self::Context(_) => {}
            Self::Member(of, name) => {
                // The path of the whole says what the path of a part of it would.
                of.collect_below(found);
                name.collect(found);
            }
            Self::All(of) => of.collect_below(found),
            Self::Call(_, arguments) => arguments.iter().for_each(|argument| argument.collect(found)),
            Self::Not(inner) => inner.collect(found),
            Self::Binary(_, left, right) => {
                left.collect(found);
                right.collect(found);
            }
        }
    }

    fn collect_below(&self, found: &mut Vec<Vec<String>>) {
        match self {
            Self::Member(of, name) => {
                of.collect_below(found);
                name.collect(found);
            }
            Self::All(of) => of.collect_below(found),
            Self::Context(_) => {}
            other => other.collect(found),
        }
    }

    fn path(&self) -> Option<Vec<String>> {
        let (of, part) = match self {
            Self::Context(name) => return Some(vec![name.clone()]),
            Self::Member(of, name) => (of, name.literal().unwrap_or_else(|| "*".to_owned())),
            Self::All(of) => (of, "*".to_owned()),
            _ => return None,
        };
        let mut path = of.path()?;
        path.push(part);
        Some(path)
    }

    fn literal(&self) -> Option<String> {
        match self {
            Self::Literal(value) => Some(text(value)),
            _ => None,
        }
    }

    /// The functions that it calls, in lower case.
    pub(crate) fn calls(&self) -> Vec<&str> {
        match self {
            Self::Literal(_) | Self::Context(_) => Vec::new(),
            Self::Member(of, name) => of.calls().into_iter().chain(name.calls()).collect(),
            Self::All(of) | Self::Not(of) => of.calls(),
            Self::Call(name, arguments) => {
                std::iter::once(name.as_str()).chain(arguments.iter().flat_map(Self::calls)).collect()
            }
            Self::Binary(_, left, right) => left.calls().into_iter().chain(right.calls()).collect(),
        }
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

    fn chain(&mut self, signs: &[&str], next: fn(&mut Self) -> Result<Node, String>) -> Result<Node, String> {
        let mut left = next(self)?;
        while let Some(sign) = self.peek().filter(|token| signs.contains(token)).map(str::to_owned) {
            self.at += 1;
            left = Node::Binary(sign, Box::new(left), Box::new(next(self)?));
        }
        Ok(left)
    }

    fn either(&mut self) -> Result<Node, String> {
        self.chain(&["||"], Self::both)
    }

    fn both(&mut self) -> Result<Node, String> {
        self.chain(&["&&"], Self::comparison)
    }

    fn comparison(&mut self) -> Result<Node, String> {
        self.chain(&["==", "!=", "<", "<=", ">", ">="], Self::negation)
    }

    fn negation(&mut self) -> Result<Node, String> {
        if self.peek() == Some("!") {
            self.at += 1;
            return Ok(Node::Not(Box::new(self.negation()?)));
        }
        self.value()
    }

    fn value(&mut self) -> Result<Node, String> {
        let token = self.take()?;
        let first = token.chars().next().unwrap_or(' ');
        if token == "(" {
            let inner = self.either()?;
            self.expect(")")?;
            return self.accesses(inner);
        }
        if let Some(literal) = literal(&token) {
            return literal.map(Node::Literal);
        }
        if !first.is_ascii_alphabetic() && first != '_' {
            return Err(format!("'{token}' stands where a value must"));
        }
        let name = token.to_ascii_lowercase();
        if self.peek() == Some("(") {
            if !FUNCTIONS.contains(&name.as_str()) {
                return Err(format!("there is no function '{token}'"));
            }
            let call = Node::Call(name, self.arguments()?);
            return self.accesses(call);
        }
        if !CONTEXTS.contains(&name.as_str()) {
            return Err(format!("there is no context '{token}'"));
        }
        self.accesses(Node::Context(name))
    }

    fn arguments(&mut self) -> Result<Vec<Node>, String> {
        self.expect("(")?;
        let mut arguments = Vec::new();
        if self.peek() != Some(")") {
            arguments.push(self.either()?);
            while self.peek() == Some(",") {
                self.at += 1;
                arguments.push(self.either()?);
            }
        }
        self.expect(")")?;
        Ok(arguments)
    }

    /// `.name`, `.*`, `['name']`, `[computed]`.
    fn accesses(&mut self, of: Node) -> Result<Node, String> {
        let mut node = of;
        loop {
            match self.peek() {
                Some(".") => {
                    self.at += 1;
                    let name = self.take()?;
                    if name == "*" {
                        node = Node::All(Box::new(node));
                    } else if name.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c)) {
                        node = Node::Member(Box::new(node), Box::new(Node::Literal(name.into())));
                    } else {
                        return Err(format!("'{name}' stands where a name must"));
                    }
                }
                Some("[") => {
                    self.at += 1;
                    if self.peek() == Some("*") {
                        self.at += 1;
                        node = Node::All(Box::new(node));
                    } else {
                        node = Node::Member(Box::new(node), Box::new(self.either()?));
                    }
                    self.expect("]")?;
                }
                _ => return Ok(node),
            }
        }
    }
}

fn literal(token: &str) -> Option<Result<Value, String>> {
    let first = token.chars().next()?;
    match token {
        "true" => return Some(Ok(true.into())),
        "false" => return Some(Ok(false.into())),
        "null" | "NaN" | "Infinity" => return Some(Ok(Value::Null)),
        _ => {}
    }
    if let Some(inner) = token.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
        return Some(Ok(inner.replace("''", "'").into()));
    }
    if !first.is_ascii_digit() && first != '-' {
        return None;
    }
    let number = match token.strip_prefix("0x") {
        Some(hex) => i64::from_str_radix(hex, 16).ok().map(Number::from),
        None => token.parse::<f64>().ok().map(number_of),
    };
    Some(number.map(Value::Number).ok_or_else(|| format!("'{token}' is no number")))
}

/// Whole numbers stay whole, so that they read as they were written.
fn number_of(number: f64) -> Number {
    #[allow(clippy::cast_possible_truncation, reason = "checked to be whole and small")]
    let whole = number as i64;
    #[allow(clippy::cast_precision_loss, reason = "compared with what it came from")]
    let same = whole as f64;
    if (same - number).abs() < f64::EPSILON { whole.into() } else { Number::from_f64(number).unwrap_or(0.into()) }
}

/// What expressions are evaluated in.
pub(crate) trait Scope {
    /// The whole of a context; `Null` when there is none here.
    fn context(&self, name: &str) -> Value;
    /// Whether everything before went well, something failed, or the run was cancelled.
    fn status(&self) -> Status;
    /// A digest over the workspace's files that fit one of the globs; empty when none does.
    fn hash_files(&self, globs: &[String]) -> String;
}

/// How it went so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    Success,
    Failure,
    Cancelled,
    /// Something that is needed did not run.
    Skipped,
}

/// The value of an expression.
pub(crate) fn evaluate(node: &Node, scope: &dyn Scope) -> Value {
    let value = |node: &Node| evaluate(node, scope);
    match node {
        Node::Literal(literal) => literal.clone(),
        Node::Context(name) => scope.context(name),
        Node::Member(of, name) => match (&**of, value(of)) {
            // `needs.*.result`: the member of each.
            (Node::All(_), Value::Array(all)) => {
                let name = value(name);
                all.iter().map(|one| member(one, &name)).filter(|found| !found.is_null()).collect()
            }
            (_, of) => member(&of, &value(name)),
        },
        Node::All(of) => match value(of) {
            Value::Object(fields) => fields.into_iter().map(|(_, field)| field).collect(),
            Value::Array(entries) => Value::Array(entries),
            _ => Value::Array(Vec::new()),
        },
        Node::Not(inner) => (!truth(&value(inner))).into(),
        Node::Binary(sign, left, right) => {
            let left = value(left);
            match sign.as_str() {
                "&&" if !truth(&left) => left,
                "||" if truth(&left) => left,
                "&&" | "||" => value(right),
                sign => compare(sign, &left, &value(right)).into(),
            }
        }
        Node::Call(name, arguments) => {
            let arguments: Vec<Value> = arguments.iter().map(value).collect();
            call(name, &arguments, scope)
        }
    }
}

fn call(name: &str, arguments: &[Value], scope: &dyn Scope) -> Value {
    let at = |index: usize| arguments.get(index).cloned().unwrap_or_default();
    let lower = |index: usize| text(&at(index)).to_lowercase();
    match name {
        "contains" => match at(0) {
            Value::Array(entries) => entries.iter().any(|entry| compare("==", entry, &at(1))).into(),
            _ => lower(0).contains(&lower(1)).into(),
        },
        "startswith" => lower(0).starts_with(&lower(1)).into(),
        "endswith" => lower(0).ends_with(&lower(1)).into(),
        "format" => format(&text(&at(0)), &arguments[1..]).into(),
        "join" => {
            let separator = if arguments.len() > 1 { text(&at(1)) } else { ",".to_owned() };
            match at(0) {
                Value::Array(entries) => entries.iter().map(text).collect::<Vec<_>>().join(&separator).into(),
                other => text(&other).into(),
            }
        }
        "tojson" => serde_json::to_string_pretty(&at(0)).unwrap().into(),
        "fromjson" => serde_json::from_str(&text(&at(0))).unwrap_or_else(|error| panic!("fromJSON: {error}")),
        "hashfiles" => scope.hash_files(&arguments.iter().map(text).collect::<Vec<_>>()).into(),
        "case" => {
            let chosen = arguments.chunks(2).find(|pair| pair.len() == 1 || truth(&pair[0]));
            chosen.and_then(<[Value]>::last).cloned().unwrap_or_default()
        }
        "success" => (scope.status() == Status::Success).into(),
        "failure" => (scope.status() == Status::Failure).into(),
        "cancelled" => (scope.status() == Status::Cancelled).into(),
        "always" => true.into(),
        other => panic!("no function {other}"),
    }
}

/// `{0}`, `{1}`, …; braces are doubled to stand for themselves.
fn format(pattern: &str, arguments: &[Value]) -> String {
    let (mut out, mut rest) = (String::new(), pattern);
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("{{") || rest.starts_with("}}") {
            out.push_str(&rest[..1]);
            rest = &rest[2..];
            continue;
        }
        let (number, after) = rest[1..].split_once('}').unwrap_or_else(|| panic!("format: '{pattern}'"));
        let index: usize = number.parse().unwrap_or_else(|_| panic!("format: '{pattern}'"));
        out.push_str(&text(arguments.get(index).unwrap_or_else(|| panic!("format: no argument {index}"))));
        rest = after;
    }
    out + rest
}

/// A member by name, without case, or by number; null when there is none.
fn member(of: &Value, name: &Value) -> Value {
    match of {
        Value::Object(fields) => {
            let wanted = text(name);
            let found = fields.get(&wanted);
            let found = found.or_else(|| fields.iter().find(|(k, _)| k.eq_ignore_ascii_case(&wanted)).map(|(_, v)| v));
            found.cloned().unwrap_or_default()
        }
        Value::Array(entries) => {
            let index = name.as_u64().and_then(|index| usize::try_from(index).ok());
            index.and_then(|index| entries.get(index)).cloned().unwrap_or_default()
        }
        _ => Value::Null,
    }
}

/// Whether a value counts as true.
pub(crate) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) => true,
    }
}

/// A value as it stands in a text.
pub(crate) fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(_) => "Array".to_owned(),
        Value::Object(_) => "Object".to_owned(),
    }
}

/// NaN for what is no number, as in JavaScript.
fn number(value: &Value) -> f64 {
    match value {
        Value::Null => 0.0,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN),
        Value::String(text) if text.trim().is_empty() => 0.0,
        Value::String(text) => text.trim().parse().unwrap_or(f64::NAN),
        Value::Array(_) | Value::Object(_) => f64::NAN,
    }
}

fn compare(sign: &str, left: &Value, right: &Value) -> bool {
    use std::cmp::Ordering;
    let order = match (left, right) {
        (Value::String(left), Value::String(right)) => Some(left.to_lowercase().cmp(&right.to_lowercase())),
        (Value::Array(_) | Value::Object(_), Value::Array(_) | Value::Object(_)) => {
            (left == right).then_some(Ordering::Equal)
        }
        _ => number(left).partial_cmp(&number(right)),
    };
    match sign {
        "==" => order == Some(Ordering::Equal),
        "!=" => order != Some(Ordering::Equal),
        "<" => order == Some(Ordering::Less),
        "<=" => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        ">" => order == Some(Ordering::Greater),
        ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
        other => panic!("no comparison {other}"),
    }
}

/// A text with its expressions replaced by their values. One expression that is the whole text keeps its type.
pub(crate) fn interpolate(template: &str, scope: &dyn Scope) -> Value {
    let whole = template.trim();
    if let Some(inner) = whole.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}"))
        && !inner.contains("${{")
    {
        return evaluated(inner, scope);
    }
    let (mut out, mut rest) = (String::new(), template);
    while let Some((before, after)) = rest.split_once("${{") {
        let (inner, behind) = after.split_once("}}").unwrap_or_else(|| panic!("'{template}' does not end its ${{{{"));
        out.push_str(before);
        out.push_str(&text(&evaluated(inner, scope)));
        rest = behind;
    }
    Value::String(out + rest)
}

fn evaluated(inner: &str, scope: &dyn Scope) -> Value {
    let node = parse(inner.trim()).unwrap_or_else(|error| panic!("'{inner}': {error}"));
    evaluate(&node, scope)
}

/// Whether an `if:` holds. Without a function of the status, everything before must have gone well.
pub(crate) fn condition(written: &Value, scope: &dyn Scope) -> bool {
    let written = text(written);
    let inner = written.trim();
    let inner = inner.strip_prefix("${{").and_then(|rest| rest.strip_suffix("}}")).unwrap_or(inner).trim();
    if inner.is_empty() {
        return scope.status() == Status::Success;
    }
    let node = parse(inner).unwrap_or_else(|error| panic!("if: {inner}: {error}"));
    let asks = node.calls().iter().any(|name| ["success", "failure", "cancelled", "always"].contains(name));
    (asks || scope.status() == Status::Success) && truth(&evaluate(&node, scope))
}
