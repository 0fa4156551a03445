//! Purpose: one run from the environment to the exit code.

use std::process::ExitCode;
use std::sync::OnceLock;

use super::framework::{Descriptor, Finished};
use super::help;
use super::run::Run;
use super::shared::{Cloud, Common, Engine, Group, LogLevel, Registry};
use crate::config::Config;
use crate::contract::parse::parse;
use crate::contract::spec::InputSpec;
use crate::contract::values::Flag;
use crate::domain::markdown;
use crate::runner::{
    CancelToken, Clock, Environment, Exports, Failure, Github, InputPairs, Kind, Level, Log, Masks, OidcRequest,
    Outputs, Problem, Problems, Random, Stage, State, Summary, input_pairs, listen_for_signals, nearest,
};

mod finish;

use finish::{chain, conclude};

/// Variables that hold secrets which no input names.
const SECRET_VARIABLES: [&str; 5] = [
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
];

/// Inputs that the runner itself understands and passes on all the same.
const RUNNER_INPUTS: [&str; 2] = ["entrypoint", "args"];

/// Runs the command that the environment and the arguments ask for.
#[must_use]
pub fn main(environment: Environment) -> ExitCode {
    let random = Random::System;
    let masks = Masks::with_forms(&[markdown::escaped, markdown::in_html]);
    let log =
        Log::new(Box::new(std::io::stdout()), environment.is_runner(), level(&environment), random.clone(), masks);
    // Arguments that cannot be used are reported like everything else: with outputs and a summary.
    let invocation = match help::parse_arguments(environment.arguments(), &super::all()) {
        Ok(help::Arguments::Run(invocation)) => Ok(invocation),
        Ok(help::Arguments::Show(text)) => {
            log.info(text.trim_end());
            return ExitCode::SUCCESS;
        }
        Err(failure) => Err(failure),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return conclude(&log, &no_runtime(error)),
    };
    let code = runtime.block_on(Session { environment, log, random }.run(invocation));
    // Blocking reads may still be under way after a cancellation; they must not hold up the exit.
    runtime.shutdown_background();
    code
}

fn level(environment: &Environment) -> Level {
    if environment.get("RUNNER_DEBUG") == Some("1") { Level::Debug } else { Level::Info }
}

fn no_runtime(error: std::io::Error) -> Failure {
    Failure::new(Kind::Work, "internal", "Internal error", "the process could not be set up").caused_by(error)
}

struct Session {
    environment: Environment,
    log: Log,
    random: Random,
}

impl Session {
    async fn run(self, invocation: Result<help::Invocation, Failure>) -> ExitCode {
        let cancel = match listen_for_signals() {
            Ok(cancel) => cancel,
            Err(error) => return conclude(&self.log, &no_runtime(error)),
        };
        for secret in SECRET_VARIABLES.iter().filter_map(|name| self.environment.get(name)) {
            self.log.masks_quietly(secret);
        }
        let (pairs, problems) = input_pairs(&self.environment);
        let outputs = Outputs::of(&self.environment, self.random.clone());
        let wants_summary = wants_summary(&pairs, invocation.as_ref().ok());
        let prepared = invocation.and_then(|invocation| self.prepare(pairs, problems, invocation, cancel));
        let (run, finished) = match prepared {
            Ok((descriptor, _, run)) if self.is_post() => {
                return self.post(&descriptor, &run).await;
            }
            Ok((descriptor, pairs, run)) => {
                let finished = (descriptor.execute)(&pairs, &run).await;
                (Some(run), finished)
            }
            // The main stage has said it already, and left nothing to clean up.
            Err(_) if self.is_post() => return ExitCode::SUCCESS,
            Err(failure) => (None, Finished { outputs: Vec::new(), result: Err(failure) }),
        };
        self.finish(&outputs, run.as_ref(), finished, wants_summary)
    }

    fn is_post(&self) -> bool {
        self.environment.stage() == Stage::Post
    }

    async fn post(&self, descriptor: &Descriptor, run: &Run) -> ExitCode {
        match (descriptor.post)(run).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => conclude(&self.log, &failure),
        }
    }

    /// Everything before the command's own steps: which command, config, defaults, shared inputs.
    fn prepare(
        &self,
        mut pairs: InputPairs,
        found: Vec<Problem>,
        invocation: help::Invocation,
        cancel: CancelToken,
    ) -> Result<(Descriptor, InputPairs, Run), Failure> {
        let commands = super::all();
        // What chose the command is not an input of it as well; behind an argument, it may be (`up` runs it).
        let name = invocation.command.or_else(|| pairs.remove("command"));
        let descriptor = help::find_command(name.as_deref(), &commands)?;
        pairs.extend(invocation.flags);
        let specs = descriptor.all_inputs();
        let pairs = self.canonical(pairs, &specs, &commands);
        self.mask_secrets(&pairs, &specs);

        let mut problems = Problems::default();
        problems.extend(found);
        let (config, pairs) = self.with_config(pairs, &specs, &mut problems);
        // Once more: the environment's settings may hold secrets, too.
        self.mask_secrets(&pairs, &specs);
        let common: Common = read(&pairs, &mut problems);
        let takes = |group| descriptor.groups.contains(&group);
        let shared = without(&pairs, &descriptor.own_inputs());
        let run = Run {
            log: self.log.clone(),
            github: Github::of(&self.environment),
            config,
            cloud: if takes(Group::Cloud) { read::<Cloud>(&shared, &mut problems) } else { Cloud::default() },
            registry: if takes(Group::Registry) {
                read::<Registry>(&shared, &mut problems)
            } else {
                Registry::default()
            },
            engine: if takes(Group::Engine) { read::<Engine>(&shared, &mut problems) } else { Engine::default() },
            common: Common { dry_run: common.dry_run.or(Some(Flag(descriptor.dry_run))), ..common },
            cancel,
            clock: Clock::System,
            random: self.random.clone(),
            summary: Summary::of(&self.environment),
            state: State::of(&self.environment, self.random.clone()),
            exports: Exports::of(&self.environment, self.random.clone()),
            oidc: OidcRequest::of(&self.environment),
            environment: self.environment.clone(),
            payload: OnceLock::new(),
        };
        // The command's own inputs are read here only to report everything that is wrong at once.
        problems.extend((descriptor.check)(&pairs));
        problems.into_result()?;
        self.set_level(&run.common);
        Ok((descriptor, pairs, run))
    }

    /// Aliases become canonical names; names that this command does not know are warned about and dropped.
    fn canonical(&self, pairs: InputPairs, specs: &[InputSpec], commands: &[Descriptor]) -> InputPairs {
        let mut known = InputPairs::new();
        for (name, value) in pairs {
            let spec = specs.iter().find(|spec| spec.name == name || spec.aliases.contains(&name));
            match spec {
                Some(spec) if spec.name == name => drop(known.insert(name, value)),
                Some(spec) => drop(known.entry(spec.name.clone()).or_insert(value)),
                None if RUNNER_INPUTS.contains(&name.as_str()) => {}
                None => self.warn_unknown(&name, specs, commands),
            }
        }
        known
    }

    fn warn_unknown(&self, name: &str, specs: &[InputSpec], commands: &[Descriptor]) {
        // The post stage sees the same inputs; warning twice tells nobody more.
        if self.is_post() {
            return;
        }
        let takes = |command: &&Descriptor| {
            let inputs = command.all_inputs();
            inputs.iter().any(|input| input.name == name || input.aliases.iter().any(|alias| alias == name))
        };
        let others: Vec<&str> = commands.iter().filter(takes).map(|command| command.name).collect();
        let message = match nearest(name, specs.iter().map(|spec| spec.name.as_str())) {
            _ if !others.is_empty() => {
                format!("the input '{name}' belongs to {} and is ignored here", others.join(", "))
            }
            Some(near) => {
                format!("the input '{name}' is not known and is ignored; did you mean '{near}'?")
            }
            None => format!("the input '{name}' is not known and is ignored"),
        };
        self.log.warn("Unknown input", message);
    }

    fn mask_secrets(&self, pairs: &InputPairs, specs: &[InputSpec]) {
        for spec in specs.iter().filter(|spec| spec.secret) {
            let Some(value) = pairs.get(&spec.name) else {
                continue;
            };
            if spec.kind == "map" {
                // `id=value` lines: ids are no secrets. A line without `=` may be the rest of a secret of several lines.
                for line in value.lines() {
                    let secret = line.split_once('=').map_or(line, |(_, secret)| secret);
                    self.log.mask(secret.trim());
                }
            } else {
                self.log.mask(value);
            }
        }
    }

    /// The config, and the pairs with the environment's settings below those given.
    fn with_config(&self, pairs: InputPairs, specs: &[InputSpec], problems: &mut Problems) -> (Config, InputPairs) {
        let named = pairs.get("config").map(String::as_str);
        let config = match Config::load(&self.environment.workspace(), named) {
            Ok(config) => config,
            Err(error) => {
                problems.add("config", format!("cannot be used: {}", chain(&error)));
                return (Config::default(), pairs);
            }
        };
        let Some(environment) = pairs.get("environment") else {
            return (config, pairs);
        };
        let mut merged = InputPairs::new();
        match config.environment(environment) {
            Ok(section) => {
                let settings = section.settings.iter().filter(|(key, _)| specs.iter().any(|spec| spec.name == **key));
                merged.extend(settings.map(|(key, value)| (key.clone(), value.as_str().to_owned())));
            }
            Err(message) => problems.add("environment", message),
        }
        merged.extend(pairs);
        (config, merged)
    }

    fn set_level(&self, common: &Common) {
        if let Some(level) = common.log_level {
            self.log.set_level(match level {
                LogLevel::Debug => Level::Debug,
                LogLevel::Info => Level::Info,
                LogLevel::Warn => Level::Warning,
                LogLevel::Error => Level::Error,
            });
        }
    }
}

/// The pairs but those that have a meaning of the command's own.
fn without(pairs: &InputPairs, own: &[InputSpec]) -> InputPairs {
    let is_own = |name: &String| own.iter().any(|input| input.name == *name);
    pairs.iter().filter(|(name, _)| !is_own(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// Whether a run that fails before its inputs are read writes a summary.
fn wants_summary(pairs: &InputPairs, invocation: Option<&help::Invocation>) -> bool {
    let flag = invocation.and_then(|invocation| invocation.flags.get("summary"));
    let given = flag.or_else(|| pairs.get("summary"));
    given.and_then(|text| text.parse::<Flag>().ok()).is_none_or(|wanted| wanted.0)
}

fn read<T: serde::de::DeserializeOwned + Default>(pairs: &InputPairs, problems: &mut Problems) -> T {
    parse::<T>(pairs).unwrap_or_else(|found| {
        problems.extend(found);
        T::default()
    })
}
