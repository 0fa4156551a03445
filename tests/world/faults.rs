//! Purpose: the rule language of faults: which request is struck, and what happens to it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::http::{Reply, Request, Skin};
use super::state::State;

/// A rule: strikes the n-th matching requests. The first rule that strikes wins; all rules count.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    skin: Option<Skin>,
    method: Option<String>,
    /// Glob over the AWS operation.
    target: Option<String>,
    /// Glob over the path as sent (percent-encoded), `*` matching any characters.
    path: Option<String>,
    /// Text that the body must contain.
    body_contains: Option<String>,
    /// The first matching request that is struck, counted from 1.
    first: Option<u32>,
    /// How many are struck; all from the first on when absent.
    times: Option<u32>,
    effect: Effect,
    /// May go unused.
    optional: bool,
    #[serde(skip_deserializing)]
    seen: u32,
    #[serde(skip_deserializing)]
    struck: u32,
}

/// What happens to a struck request.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Effect {
    /// Answer with this status; the skin is not asked, unless `after`.
    pub status: Option<u16>,
    /// The error's code in the skin's own form.
    pub code: Option<String>,
    /// The error's message.
    pub message: Option<String>,
    /// Answer with this body.
    pub body: Option<String>,
    /// `Retry-After` on the answer.
    pub retry_after: Option<String>,
    /// More headers on the answer.
    pub headers: Vec<(String, String)>,
    /// The skin does its work first; only its answer is lost or replaced.
    pub after: bool,
    /// The request waits for this gate before anything else happens.
    pub hold: Option<String>,
    /// The answer waits for this gate after the work is done.
    pub hold_body: Option<String>,
    /// The connection is reset instead of an answer.
    pub reset: bool,
    /// Only so many bytes of the body arrive, although all are promised.
    pub keep_bytes: Option<usize>,
    /// After so many bytes of the body the rest waits for this gate.
    pub stall: Option<(usize, String)>,
    /// The answer claims to be of this type.
    pub content_type: Option<String>,
}

impl Fault {
    /// A rule for every request to a skin; narrow it further.
    pub fn on(skin: Skin) -> Self {
        Self { skin: Some(skin), ..Self::default() }
    }

    /// Only this HTTP method.
    #[must_use]
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.to_owned());
        self
    }

    /// Only AWS operations matching this glob.
    #[must_use]
    pub fn target(mut self, glob: &str) -> Self {
        self.target = Some(glob.to_owned());
        self
    }

    /// Only paths matching this glob (as sent, without query).
    #[must_use]
    pub fn path(mut self, glob: &str) -> Self {
        self.path = Some(glob.to_owned());
        self
    }

    /// Only requests whose body contains a text.
    #[must_use]
    pub fn body_contains(mut self, text: &str) -> Self {
        self.body_contains = Some(text.to_owned());
        self
    }

    /// Only the n-th matching request, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u32) -> Self {
        (self.first, self.times) = (Some(nth), Some(1));
        self
    }

    /// From the n-th matching request on.
    #[must_use]
    pub fn from(mut self, nth: u32) -> Self {
        (self.first, self.times) = (Some(nth), None);
        self
    }

    /// So many matching requests.
    #[must_use]
    pub fn times(mut self, times: u32) -> Self {
        self.times = Some(times);
        self
    }

    /// The rule may go unused without `finish` complaining.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Answers with a status and the skin's usual error body.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.effect.status = Some(status);
        self
    }

    /// Answers with an error in the skin's own form; AWS errors are 400 unless a status is given.
    #[must_use]
    pub fn error(mut self, code: &str, message: &str) -> Self {
        (self.effect.code, self.effect.message) = (Some(code.to_owned()), Some(message.to_owned()));
        self
    }

    /// Answers with exactly this body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.effect.body = Some(body.to_owned());
        self
    }

    /// Adds `Retry-After` (seconds or a date).
    #[must_use]
    pub fn retry_after(mut self, value: impl ToString) -> Self {
        self.effect.retry_after = Some(value.to_string());
        self
    }

    /// Adds a header to the answer.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.effect.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Lets the skin do its work first: the effect happens, only the answer is lost or replaced.
    #[must_use]
    pub fn after_effect(mut self) -> Self {
        self.effect.after = true;
        self
    }

    /// Holds the request, before anything happens, until `World::release` opens the gate.
    #[must_use]
    pub fn hold(mut self, gate: &str) -> Self {
        self.effect.hold = Some(gate.to_owned());
        self
    }

    /// Does the work, then holds the answer until the gate opens.
    #[must_use]
    pub fn hold_answer(mut self, gate: &str) -> Self {
        self.effect.hold_body = Some(gate.to_owned());
        self
    }

    /// Resets the connection instead of answering; with `after_effect` once the work is done.
    #[must_use]
    pub fn reset(mut self) -> Self {
        self.effect.reset = true;
        self
    }

    /// Lets only the first bytes of the body arrive, then breaks the connection.
    #[must_use]
    pub fn truncate(mut self, keep: usize) -> Self {
        self.effect.keep_bytes = Some(keep);
        self
    }

    /// Lets the first bytes of the body arrive; the rest waits until `World::release` opens the gate.
    #[must_use]
    pub fn stall(mut self, keep: usize, gate: &str) -> Self {
        self.effect.stall = Some((keep, gate.to_owned()));
        self
    }

    /// Changes the type that the answer claims to be.
    #[must_use]
    pub fn content_type(mut self, value: &str) -> Self {
        self.effect.content_type = Some(value.to_owned());
        self
    }

    /// Replaces the answer by a page of HTML with status 200, as a proxy in between would.
    #[must_use]
    pub fn not_json(self) -> Self {
        self.status(200).content_type("text/html").body("<html><body>Please sign in</body></html>")
    }

    /// How many requests it struck so far.
    pub fn struck(&self) -> u32 {
        self.struck
    }

    pub(super) fn is_unused(&self) -> bool {
        self.struck == 0 && !self.optional
    }

    fn matches(&self, request: &Request) -> bool {
        self.skin.is_none_or(|skin| skin == request.skin)
            && self.method.as_ref().is_none_or(|method| method.eq_ignore_ascii_case(request.method.as_str()))
            && self.target.as_ref().is_none_or(|glob| request.target.as_ref().is_some_and(|t| matches(glob, t)))
            && self.path.as_ref().is_none_or(|glob| matches(glob, &request.path))
            && self.body_contains.as_ref().is_none_or(|text| String::from_utf8_lossy(&request.body).contains(text))
    }

    fn is_struck_now(&self) -> bool {
        let first = self.first.unwrap_or(1);
        self.seen >= first && self.times.is_none_or(|times| self.seen < first + times)
    }
}

/// Counts the request on every rule; the first rule that strikes gives its effect.
pub fn strike(state: &mut State, request: &Request) -> Option<Effect> {
    let mut effect = None;
    for fault in &mut state.faults {
        if !fault.matches(request) {
            continue;
        }
        fault.seen += 1;
        if effect.is_none() && fault.is_struck_now() {
            fault.struck += 1;
            effect = Some(fault.effect.clone());
        }
    }
    effect
}

impl Effect {
    /// Whether the skin's own answer is not sent.
    pub fn replaces(&self) -> bool {
        self.reset || self.status.is_some() || self.code.is_some() || self.body.is_some()
    }

    /// Applies headers and type to the answer.
    pub fn deform(&self, mut reply: Reply) -> Reply {
        if let Some(value) = &self.retry_after {
            reply = reply.header("retry-after", value);
        }
        if let Some(value) = &self.content_type {
            reply = reply.header("content-type", value);
        }
        for (name, value) in &self.headers {
            reply = reply.header(name, value);
        }
        reply
    }
}

/// An error as the struck skin would write it.
pub fn shaped_error(request: &Request, effect: &Effect) -> Reply {
    if let Some(body) = &effect.body {
        return Reply::bytes(effect.status.unwrap_or(200), "text/plain", body.clone());
    }
    let message = effect.message.clone().unwrap_or_else(|| "the world says no".to_owned());
    let code = effect.code.clone();
    match request.skin {
        Skin::Ecs | Skin::Ecr | Skin::EcrPublic | Skin::Logs | Skin::Ssm | Skin::Secrets | Skin::Aws => {
            let status = effect.status.unwrap_or(400);
            let code = code.unwrap_or_else(|| aws_code(status).to_owned());
            super::aws::AwsError { status, code, message }.as_json()
        }
        Skin::Sts | Skin::Elb | Skin::Alarms => {
            let status = effect.status.unwrap_or(400);
            let code = code.unwrap_or_else(|| aws_code(status).to_owned());
            super::aws::AwsError { status, code, message }.as_xml()
        }
        Skin::Registry => {
            let status = effect.status.unwrap_or(400);
            let code = code.unwrap_or_else(|| "UNKNOWN".to_owned());
            Reply::json(status, &json!({ "errors": [{ "code": code, "message": message }] }))
        }
        _ => Reply::json(effect.status.unwrap_or(400), &json!({ "message": message })),
    }
}

fn aws_code(status: u16) -> &'static str {
    match status {
        403 => "AccessDeniedException",
        429 => "ThrottlingException",
        503 => "ServiceUnavailable",
        500.. => "InternalFailure",
        _ => "ClientException",
    }
}

/// Whether a text matches a glob in which `*` stands for any characters, `/` included.
pub fn matches(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else {
        return glob == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    loop {
        if matches(rest, text) {
            return true;
        }
        let mut chars = text.chars();
        if chars.next().is_none() {
            return false;
        }
        text = chars.as_str();
    }
}
