//! Purpose: the command line: which command, its flags, `--help`. Flags are inputs, built from the same types.

use clap::builder::{Arg, Command as Clap};
use clap::error::ErrorKind;

use super::framework::Descriptor;
use crate::contract::spec::InputSpec;
use crate::domain::markdown::{Markdown, escaped};
use crate::runner::{Failure, InputPairs, Kind, nearest};

/// What the arguments ask for.
pub(super) enum Arguments {
    /// Run a command.
    Run(Invocation),
    /// Print a text.
    Show(String),
}

/// A command and the inputs given as flags.
#[derive(Debug, Default)]
pub(super) struct Invocation {
    /// The first argument.
    pub(super) command: Option<String>,
    /// Flags by input name.
    pub(super) flags: InputPairs,
}

/// Reads the arguments.
///
/// # Errors
/// Exit code 2 for an unknown command or flag.
pub(super) fn parse_arguments(arguments: &[String], commands: &[Descriptor]) -> Result<Arguments, Failure> {
    // The runner passes arguments that are empty strings when an expression is empty.
    let mut arguments: Vec<&str> =
        arguments.iter().map(String::as_str).filter(|argument| !argument.is_empty()).collect();
    if arguments.first() == Some(&"help") {
        arguments.rotate_left(1);
        arguments.pop();
        arguments.push("--help");
    }
    let Some(first) = arguments.first() else {
        return Ok(Arguments::Run(Invocation::default()));
    };
    if !first.starts_with('-') {
        find_command(Some(first), commands)?;
    }
    let mut clap = clap(commands);
    let matches = match clap.try_get_matches_from_mut(std::iter::once("landfall").chain(arguments)) {
        Ok(matches) => matches,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            return Ok(Arguments::Show(error.to_string()));
        }
        Err(error) => return Err(bad_arguments(&error)),
    };
    let Some((name, given)) = matches.subcommand() else {
        return Ok(Arguments::Run(Invocation::default()));
    };
    let specs = commands.iter().find(|command| command.name == name).map(Descriptor::step_inputs).unwrap_or_default();
    let flags = specs
        .into_iter()
        .filter_map(|spec| given.get_one::<String>(&spec.name).cloned().map(|value| (spec.name, value)));
    let flags = flags.collect();
    Ok(Arguments::Run(Invocation { command: Some(name.to_owned()), flags }))
}

fn bad_arguments(error: &clap::Error) -> Failure {
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    let message = text.split("\n\nUsage:").next().unwrap_or(text).trim();
    let message: Vec<&str> = message
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with("For more information"))
        .collect();
    Failure::new(Kind::Input, "invalid-input", "Invalid arguments", message.join("; "))
        .hint("`landfall <command> --help` lists the flags of a command.")
}

/// The command of this name.
///
/// # Errors
/// Exit code 2 with the nearest name.
pub(super) fn find_command(name: Option<&str>, commands: &[Descriptor]) -> Result<Descriptor, Failure> {
    let known: Vec<&str> = commands.iter().map(|command| command.name).collect();
    let Some(name) = name else {
        return Err(Failure::new(
            Kind::Input,
            "missing-command",
            "No command",
            "the input 'command' is required and not set",
        )
        .hint(format!("Set it to one of: {}.", known.join(", "))));
    };
    if let Some(command) = commands.iter().find(|command| command.name == name) {
        return Ok(command.clone());
    }
    let failure =
        Failure::new(Kind::Input, "unknown-command", "Unknown command", format!("there is no command '{name}'"));
    Err(match nearest(name, known.iter().copied()) {
        Some(near) => failure.hint(format!("Did you mean '{near}'?")),
        None => failure.hint(format!("There are: {}.", known.join(", "))),
    })
}

fn clap(commands: &[Descriptor]) -> Clap {
    let top = Clap::new("landfall")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Carries a commit to a running service.")
        .after_help("Every input of the action is a flag of its command. Flags win over INPUT_* variables.")
        .disable_help_subcommand(true)
        .max_term_width(100);
    commands.iter().fold(top, |top, command| top.subcommand(subcommand(command)))
}

fn subcommand(command: &Descriptor) -> Clap {
    let own = command.own_inputs();
    let mut clap = Clap::new(command.name).about(command.title).args(own.iter().map(|spec| flag(spec, "Inputs")));
    for group in command.groups {
        clap = clap.args(command.inputs_of(*group).iter().map(|spec| flag(spec, group.title())));
    }
    let shown: Vec<String> = clap.get_arguments().map(|arg| arg.get_id().to_string()).collect();
    let common = command.step_inputs().into_iter().filter(|spec| !shown.contains(&spec.name));
    let common: Vec<Arg> = common.map(|spec| flag(&spec, "Common")).collect();
    clap.args(common)
}

fn flag(spec: &InputSpec, heading: &'static str) -> Arg {
    let hyphenated = |name: &str| name.replace('_', "-");
    let mut aliases: Vec<String> = spec.aliases.iter().map(|alias| hyphenated(alias)).collect();
    aliases.extend(std::iter::once(&spec.name).chain(&spec.aliases).filter(|name| name.contains('_')).cloned());
    let arg = Arg::new(spec.name.clone())
        .long(hyphenated(&spec.name))
        .aliases(aliases)
        .help(spec.description.clone())
        .help_heading(heading)
        .allow_hyphen_values(true);
    if spec.kind == "boolean" {
        arg.num_args(0..=1).require_equals(true).default_missing_value("true").value_name("BOOL")
    } else {
        arg.value_name(value_name(spec))
    }
}

fn value_name(spec: &InputSpec) -> &'static str {
    match spec.kind.as_str() {
        "list" | "lines" => "LIST",
        "map" => "KEY=VALUE",
        "duration" => "DURATION",
        "size" => "SIZE",
        "number" => "NUMBER",
        _ => "TEXT",
    }
}

/// What the summary says of a failure.
pub(super) fn failure_section(failure: &Failure) -> String {
    let explained = failure.explained();
    let mut markdown = Markdown::new().heading(3, &format!("❌ {}", failure.title));
    // Several problems at once are a list, one line each.
    markdown = match explained.contains('\n') {
        true => markdown.bullets(explained.lines().map(escaped)),
        false => markdown.paragraph(&explained),
    };
    let hints: Vec<String> = failure.hints.iter().map(|hint| escaped(hint)).collect();
    if hints.is_empty() { markdown.into_string() } else { markdown.bullets(hints).into_string() }
}
