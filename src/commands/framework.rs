//! Purpose: the four steps of a command, inputs → plan → apply → outputs, and what runs them.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::run::Run;
use super::shared::{Common, Group};
use crate::contract::parse::parse;
use crate::contract::spec::{self, InputSpec, OutputSpec};
use crate::domain::markdown::Markdown;
use crate::runner::{Failure, InputPairs, Kind, Problems};
use crate::services::asking;

/// Time that a cancelled command has to leave things as it promises; the runner kills 10 s after its first signal.
const GRACE: Duration = Duration::from_millis(5500);

/// How a command's `timeout` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// The whole command ends after the input's duration, or after this default.
    Whole(Duration),
    /// The command keeps the time itself, because it has things to do when the time is up.
    Own,
}

/// A command. Implementations are units: all state is in inputs, plan and outputs.
pub trait Command: Sized + 'static {
    /// Name on the command line and in `with: command:`.
    const NAME: &'static str;
    /// One line that says what it is for.
    const TITLE: &'static str;
    /// Icon and colour of its action in the Marketplace's terms.
    const BRANDING: (&'static str, &'static str) = ("anchor", "blue");
    /// Blocks of shared inputs that it takes.
    const GROUPS: &'static [Group] = &[];
    /// Whether it only plans unless told otherwise.
    const DRY_RUN: bool = false;
    /// How its `timeout` is meant.
    const LIMIT: Limit = Limit::Whole(Duration::from_secs(600));

    /// Its own inputs; every field has a default.
    type Inputs: DeserializeOwned + JsonSchema;
    /// What it is going to do: printable, comparable.
    type Plan: fmt::Display + Serialize;
    /// What it gives to later steps; an absent value is not written.
    type Outputs: Serialize + JsonSchema + Default;

    /// Validates the inputs, reads the world, decides. Writes nothing anywhere.
    fn plan(
        inputs: Self::Inputs,
        run: &Run,
        outputs: &mut Self::Outputs,
    ) -> impl Future<Output = Result<Self::Plan, Failure>>;

    /// Does exactly the plan. Outputs known so far are written even when it fails.
    fn apply(
        plan: Self::Plan,
        run: &Run,
        outputs: &mut Self::Outputs,
    ) -> impl Future<Output = Result<Verdict, Failure>>;

    /// Cleans up at the end of the job.
    fn post(_run: &Run) -> impl Future<Output = Result<(), Failure>> {
        std::future::ready(Ok(()))
    }

    /// The description by which the house knows this command.
    #[must_use]
    fn descriptor() -> Descriptor {
        Descriptor {
            name: Self::NAME,
            title: Self::TITLE,
            branding: Self::BRANDING,
            groups: Self::GROUPS,
            inputs: spec::inputs::<Self::Inputs>,
            outputs: spec::outputs::<Self::Outputs>,
            check: |pairs| parse::<Self::Inputs>(pairs).err().unwrap_or_default(),
            execute: |pairs, run| Box::pin(execute::<Self>(pairs, run)),
            post: |run| Box::pin(Self::post(run)),
            dry_run: Self::DRY_RUN,
        }
    }
}

/// How a command that did not fail ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The work is done; the code says how.
    Success(&'static str),
    /// There was deliberately nothing to do; the code says why.
    Skipped(&'static str),
}

/// What a command left: outputs in order, and how it ended.
pub struct Finished {
    /// Names and values.
    pub outputs: Vec<(String, String)>,
    /// How it ended.
    pub result: Result<Verdict, Failure>,
}

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// A command as the rest of the house sees it.
#[derive(Clone)]
pub struct Descriptor {
    /// Name.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// Icon and colour.
    pub branding: (&'static str, &'static str),
    /// Blocks of shared inputs.
    pub groups: &'static [Group],
    /// Whether it only plans unless told otherwise.
    pub dry_run: bool,
    inputs: fn() -> Vec<InputSpec>,
    outputs: fn() -> Vec<OutputSpec>,
    pub(super) check: fn(&InputPairs) -> Vec<crate::runner::Problem>,
    pub(super) execute: for<'a> fn(&'a InputPairs, &'a Run) -> Boxed<'a, Finished>,
    pub(super) post: for<'a> fn(&'a Run) -> Boxed<'a, Result<(), Failure>>,
}

impl Descriptor {
    /// What is wrong with the values that its own inputs are given.
    #[must_use]
    pub fn problems(&self, pairs: &InputPairs) -> Vec<crate::runner::Problem> {
        (self.check)(pairs)
    }

    /// Its own inputs.
    #[must_use]
    pub fn own_inputs(&self) -> Vec<InputSpec> {
        (self.inputs)()
    }

    /// The inputs of a shared block. One that has a meaning of its own here (`provider` of `scan`) is not among them.
    #[must_use]
    pub fn inputs_of(&self, group: Group) -> Vec<InputSpec> {
        let own = self.own_inputs();
        group.inputs().into_iter().filter(|input| !own.iter().any(|own| own.name == input.name)).collect()
    }

    /// All inputs that it takes: its own, shared blocks, common ones.
    #[must_use]
    pub fn all_inputs(&self) -> Vec<InputSpec> {
        let mut all: Vec<InputSpec> = self.own_inputs();
        all.extend(self.groups.iter().flat_map(|group| self.inputs_of(*group)));
        // A command that describes a common input more closely (`timeout`) describes it alone.
        let common = spec::inputs::<Common>().into_iter().filter(|input| !all.iter().any(|own| own.name == input.name));
        let common: Vec<InputSpec> = common.collect();
        all.extend(common);
        all
    }

    /// What its own action and its flags take: all but the common `command`, which has chosen it already. A command that
    /// has an input of that name itself (`up`) takes that.
    #[must_use]
    pub fn step_inputs(&self) -> Vec<InputSpec> {
        let has_own = self.own_inputs().iter().any(|own| own.name == "command");
        self.all_inputs().into_iter().filter(|input| has_own || input.name != "command").collect()
    }

    /// Its outputs, `result` and `reason` included.
    #[must_use]
    pub fn all_outputs(&self) -> Vec<OutputSpec> {
        let mut outputs = (self.outputs)();
        let ending = [
            ("result", "How the command ended: `success`, `failure` or `skipped`."),
            ("reason", "Why it ended so: a stable code in kebab case."),
        ];
        for (name, description) in ending {
            outputs.push(OutputSpec { name: name.to_owned(), description: description.to_owned() });
        }
        outputs
    }
}

async fn execute<C: Command>(pairs: &InputPairs, run: &Run) -> Finished {
    let mut outputs = C::Outputs::default();
    let result = {
        let limit = match C::LIMIT {
            Limit::Whole(default) => Some(run.common.timeout.map_or(default, |timeout| timeout.0)),
            Limit::Own => None,
        };
        let work = async {
            tokio::select! {
                biased;
                result = steps::<C>(pairs, run, &mut outputs) => result,
                () = grace(run) => Err(Failure::cancelled()),
                failure = expired(limit) => Err(failure),
            }
        };
        asking::noted(work).await
    };
    Finished { outputs: pairs_of(&outputs), result }
}

async fn steps<C: Command>(pairs: &InputPairs, run: &Run, outputs: &mut C::Outputs) -> Result<Verdict, Failure> {
    let inputs = parse::<C::Inputs>(pairs).map_err(|found| {
        let mut problems = Problems::default();
        problems.extend(found);
        problems.into_result().err().unwrap_or_else(Failure::cancelled)
    })?;
    let plan = run.unless_cancelled(C::plan(inputs, run, outputs)).await??;
    if run.is_dry() {
        show_plan(&plan, run);
        return Ok(Verdict::Skipped("dry-run"));
    }
    C::apply(plan, run, outputs).await
}

fn show_plan<P: fmt::Display>(plan: &P, run: &Run) {
    let text = plan.to_string();
    let group = run.log.group("Plan (dry run: nothing is written)");
    run.log.info(&text);
    drop(group);
    let markdown = Markdown::new().heading(3, "Plan (dry run: nothing was written)").code_block("text", &text);
    run.summary.section(markdown.into_string());
}

async fn grace(run: &Run) {
    run.cancel.cancelled().await;
    tokio::time::sleep(GRACE).await;
}

async fn expired(limit: Option<Duration>) -> Failure {
    match limit {
        Some(limit) => timed_out(limit, &asking::time_is_up(limit).await),
        None => std::future::pending().await,
    }
}

fn timed_out(limit: Duration, waited_for: &str) -> Failure {
    let limit = crate::contract::values::Span(limit);
    Failure::new(Kind::Work, "timeout", "Out of time", format!("the command did not end within {limit}{waited_for}"))
        .hint("Raise `timeout` if this work may take longer.")
}

/// Outputs as text: lists one entry per line, structures as JSON, absent ones not at all.
fn pairs_of<T: Serialize>(outputs: &T) -> Vec<(String, String)> {
    let Ok(Value::Object(fields)) = serde_json::to_value(outputs) else {
        return Vec::new();
    };
    fields.into_iter().filter_map(|(name, value)| Some((name, text_of(&value)?))).collect()
}

fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(entries) if entries.iter().all(Value::is_string) => {
            let lines: Vec<&str> = entries.iter().filter_map(Value::as_str).collect();
            Some(lines.join("\n"))
        }
        other => Some(other.to_string()),
    }
}
