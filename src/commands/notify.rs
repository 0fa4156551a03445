//! Purpose: one message to a chat service about this run; it never fails the job unless it is asked to.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::framework::{Command, Limit, Verdict};
use super::run::Run;
use crate::contract::values::{Flag, Map, Secret};
use crate::domain::event::GitRef;
use crate::domain::notice::{Field, Form, Notice, Status};
use crate::runner::{Failure, Kind};
use crate::services::Classified as _;
use crate::services::webhook::{Webhook, WebhookError};

/// `notify`.
pub struct Notify;

/// Inputs of `notify`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Address to send to. The whole of it is treated as a secret. Empty, as secrets are in pull requests of forks:
    /// nothing is sent.
    pub webhook_url: Option<Secret>,
    /// Form of the message: `slack` (Mattermost, too), `discord`, `teams` (an adaptive card) or `json`. Default: by the
    /// address's host, else json.
    pub format: Option<Form>,
    /// When a message is sent: `always`, or by `status`: `failure` or `success`. Default: always; the step's own `if:`
    /// decides whether it runs at all, so use `if: always()` or `if: failure()` with it.
    pub when: Option<When>,
    /// How what is told of ended: `success`, `failure`, `cancelled`, `skipped` or words of your own. Default: the state
    /// of the job so far; the root action does not know it, give it the value of `job.status`.
    pub status: Option<String>,
    /// Heading. Default: workflow, status and repository.
    pub title: Option<String>,
    /// Text below the heading. Default: none.
    pub text: Option<String>,
    /// Further names and values, one `Name=value` per line; an empty value takes a default one away. Default: repository,
    /// branch or pull request, commit, actor and event.
    pub fields: Map,
    /// Fail the step when the message is not taken. Default: false, which gives a warning instead.
    pub fail_on_error: Option<Flag>,
}

/// When a message is sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum When {
    /// Whatever the status.
    #[default]
    Always,
    /// Only of failures.
    Failure,
    /// Only of successes.
    Success,
}

/// Outputs of `notify`.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub struct Outputs {
    /// `true` when the service took the message.
    pub sent: Option<bool>,
}

/// The message, or why there is none.
#[derive(Serialize)]
pub struct Plan {
    decision: Decision,
    fails: bool,
}

#[derive(Serialize)]
enum Decision {
    Send {
        host: String,
        body: serde_json::Value,
        #[serde(skip)]
        webhook: Webhook,
    },
    /// Nothing is to be told; the code says why.
    Quiet { reason: &'static str, why: String },
    /// It cannot be told.
    Unable {
        #[serde(skip)]
        error: Failure,
    },
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.decision {
            Decision::Send { host, body, .. } => {
                write!(f, "send to {host}:\n{}", serde_json::to_string_pretty(body).unwrap_or_default())
            }
            Decision::Quiet { why, .. } => write!(f, "send nothing: {why}"),
            Decision::Unable { error } => write!(f, "send nothing: {error}"),
        }
    }
}

impl Command for Notify {
    const NAME: &'static str = "notify";
    const TITLE: &'static str = "Tell Slack, Discord, Teams or any webhook how a run ended";
    const BRANDING: (&'static str, &'static str) = ("message-circle", "blue");
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(120));

    type Inputs = Inputs;
    type Plan = Plan;
    type Outputs = Outputs;

    async fn plan(inputs: Inputs, run: &Run, outputs: &mut Outputs) -> Result<Plan, Failure> {
        outputs.sent = Some(false);
        let fails = inputs.fail_on_error.is_some_and(|flag| flag.0);
        Ok(Plan { decision: decide(&inputs, run)?, fails })
    }

    async fn apply(plan: Plan, run: &Run, outputs: &mut Outputs) -> Result<Verdict, Failure> {
        let failure = match plan.decision {
            Decision::Quiet { reason, why } => {
                run.log.info(format!("Nothing is sent: {why}"));
                return Ok(Verdict::Skipped(reason));
            }
            Decision::Unable { error } => error,
            Decision::Send { host, body, webhook } => match run.unless_cancelled(webhook.send(&body)).await? {
                Ok(()) => {
                    run.log.info(format!("Sent to {host}"));
                    outputs.sent = Some(true);
                    return Ok(Verdict::Success("sent"));
                }
                Err(error) => failure_of(error),
            },
        };
        if plan.fails {
            return Err(failure);
        }
        let hint = failure.hints.first().map(|hint| format!(". {hint}")).unwrap_or_default();
        run.log.warn(failure.title.clone(), format!("{}{hint}", failure.explained()));
        Ok(Verdict::Skipped("not-sent"))
    }
}

fn decide(inputs: &Inputs, run: &Run) -> Result<Decision, Failure> {
    let status = Status::of(inputs.status.as_deref().unwrap_or("finished"));
    let wanted = match inputs.when.unwrap_or_default() {
        When::Always => true,
        When::Failure => status == Status::Failure,
        When::Success => status == Status::Success,
    };
    if !wanted {
        let why = format!("the status is '{}'", status.word());
        return Ok(Decision::Quiet { reason: "not-wanted", why });
    }
    let Some(Secret(url)) = &inputs.webhook_url else {
        return Ok(Decision::Unable { error: no_address() });
    };
    let webhook = match Webhook::new(url) {
        Ok(webhook) => webhook,
        Err(error) => return Ok(Decision::Unable { error: failure_of(error) }),
    };
    webhook.secrets().iter().for_each(|secret| run.mask(secret));
    let host = webhook.host();
    let form = inputs.format.or_else(|| Form::of_host(host.split(':').next().unwrap_or_default()));
    let body = notice(inputs, status, run)?.body(form.unwrap_or(Form::Json));
    Ok(Decision::Send { host, body, webhook })
}

fn notice(inputs: &Inputs, status: Status, run: &Run) -> Result<Notice, Failure> {
    let github = &run.github;
    let workflow = github.workflow.as_deref().unwrap_or("The run");
    let of = github.repository.as_deref().map(|repository| format!(" in {repository}")).unwrap_or_default();
    let title = inputs.title.clone().unwrap_or_else(|| format!("{workflow} {}{of}", status.words()));
    let mut fields = default_fields(run)?;
    for (name, value) in &inputs.fields.0 {
        let known = fields.iter().position(|field| field.name.eq_ignore_ascii_case(name));
        match (known, value.trim().is_empty()) {
            (Some(at), true) => drop(fields.remove(at)),
            (Some(at), false) => fields[at] = Field::new(name, value),
            (None, true) => {}
            (None, false) => fields.push(Field::new(name, value)),
        }
    }
    let masks = run.log.masks();
    // A service's history is out of reach of the runner's masks.
    for field in &mut fields {
        field.value = masks.redact(&field.value);
    }
    Ok(Notice {
        status,
        title: masks.redact(&title),
        text: masks.redact(inputs.text.as_deref().unwrap_or_default()),
        url: github.run_url(),
        fields,
        time: run.clock.now().to_string(),
    })
}

fn default_fields(run: &Run) -> Result<Vec<Field>, Failure> {
    let github = &run.github;
    let mut fields = Vec::new();
    let Some(repository) = github.repository.as_deref() else {
        return Ok(fields);
    };
    let page = format!("{}/{repository}", github.server_url);
    fields.push(Field::new("Repository", repository).at(&page));
    let event = run.event()?;
    match (event.pull_request, &event.git_ref) {
        (Some(number), _) => {
            fields.push(Field::new("Pull request", format!("#{number}")).at(format!("{page}/pull/{number}")));
        }
        (None, Some(GitRef::Branch(branch))) => fields.push(Field::new("Branch", branch)),
        (None, Some(GitRef::Tag(tag))) => fields.push(Field::new("Tag", tag)),
        (None, None) => {}
    }
    if let Some(sha) = &event.sha {
        fields.push(Field::new("Commit", sha.short()).at(format!("{page}/commit/{sha}")));
    }
    if let Some(actor) = &github.actor {
        fields.push(Field::new("Actor", actor).at(format!("{}/{actor}", github.server_url)));
    }
    if let Some(event) = &github.event_name {
        fields.push(Field::new("Event", event));
    }
    Ok(fields)
}

fn no_address() -> Failure {
    Failure::new(Kind::Input, "no-webhook", "No webhook", "webhook_url is empty, so that there is nowhere to send to")
        .hint("Secrets are empty in pull requests of forks and of Dependabot; elsewhere check the secret's name.")
}

fn failure_of(error: WebhookError) -> Failure {
    let message = error.to_string();
    let failure = |kind, reason| Failure::new(kind, reason, "Message not sent", message.clone());
    let failure = match &error {
        WebhookError::Address => failure(Kind::Input, "invalid-input").hint("It must begin with https://."),
        WebhookError::Redirect { .. } => {
            failure(Kind::Work, "webhook-redirected").hint("Use the address that it finally leads to.")
        }
        WebhookError::Refused { status: 401 | 403 | 404 | 410, .. } => failure(Kind::Auth, "webhook-refused")
            .hint("The webhook is wrong, or was revoked; make a new one and store it in the secret."),
        WebhookError::Refused { status: 400 | 413 | 422, .. } => {
            failure(Kind::Work, "webhook-refused").hint("Check that `format` fits the service behind the address.")
        }
        other if other.class().is_transient() && !matches!(other, WebhookError::Foreign { .. }) => {
            failure(Kind::Upstream, "webhook-unavailable").hint("The service is down, or limits how much it takes.")
        }
        WebhookError::Foreign { .. } => failure(Kind::Upstream, "webhook-unavailable")
            .hint("A proxy answers in place of the service: let the runner pass it, or set NO_PROXY and HTTPS_PROXY."),
        _ => failure(Kind::Work, "webhook-refused")
            .hint("The service's own words say what it does not take; if it does not say, run again later."),
    };
    failure.caused_by(error)
}
