//! Purpose: every file that is generated from the commands' types, by path.

use super::framework::Descriptor;
use super::shared::Common;
use crate::config::Config;
use crate::contract::action_yml::Action;
use crate::contract::reference::Page;
use crate::contract::spec::{self, InputSpec, OutputSpec};

/// Paths relative to the repository's root, and their contents.
#[must_use]
pub fn files() -> Vec<(String, String)> {
    let commands = super::all();
    let mut files = vec![
        ("action.yml".to_owned(), root(&commands).render()),
        ("schema/landfall.schema.json".to_owned(), schema_of::<Config>()),
        ("schema/metrics.schema.json".to_owned(), schema_of::<crate::domain::metrics::Report>()),
        ("docs/reference/README.md".to_owned(), index(&commands)),
    ];
    for command in &commands {
        files.push((format!("actions/{}/action.yml", command.name), focused(command).render()));
        files.push((format!("docs/reference/{}.md", command.name), page(command).render()));
    }
    files
}

fn root(commands: &[Descriptor]) -> Action {
    let mut inputs = spec::inputs::<Common>();
    let mut outputs: Vec<OutputSpec> = Vec::new();
    for command in commands {
        for input in command.all_inputs() {
            add_input(&mut inputs, input, command.name);
        }
        for output in command.all_outputs() {
            if !outputs.iter().any(|known| known.name == output.name) {
                outputs.push(output);
            }
        }
    }
    Action {
        name: "Landfall".to_owned(),
        description: "Carries a commit to a running service: resolve, build, push, deploy. No JavaScript.".to_owned(),
        branding: ("anchor", "blue"),
        inputs,
        outputs,
        command: None,
    }
}

/// One input of the root action may serve several commands, which may each mean something of their own by it.
fn add_input(inputs: &mut Vec<InputSpec>, input: InputSpec, command: &str) {
    match inputs.iter_mut().find(|known| known.name == input.name) {
        None => inputs.push(InputSpec { description: format!("{} ({command})", input.description), ..input }),
        Some(known) if known.description.starts_with(&input.description) => {
            if let Some(users) =
                known.description.strip_suffix(')').filter(|_| known.description.len() > input.description.len())
            {
                known.description = format!("{users}, {command})");
            }
        }
        Some(known) => {
            known.description = format!("{} / {} ({command})", known.description, input.description);
        }
    }
}

fn focused(command: &Descriptor) -> Action {
    Action {
        name: format!("Landfall: {}", command.name),
        description: command.title.to_owned(),
        branding: command.branding,
        inputs: command.step_inputs(),
        outputs: command.all_outputs(),
        command: Some(command.name),
    }
}

fn page(command: &Descriptor) -> Page {
    let own = command.own_inputs();
    let mut inputs = vec![("Inputs", own.clone())];
    inputs.extend(command.groups.iter().map(|group| (group.title(), command.inputs_of(*group))));
    let common = spec::inputs::<Common>().into_iter();
    let common = common.filter(|input| input.name != "command" && !own.iter().any(|known| known.name == input.name));
    inputs.push(("Common inputs", common.collect()));
    Page { command: command.name, title: command.title, inputs, outputs: command.all_outputs() }
}

fn index(commands: &[Descriptor]) -> String {
    let rows = commands.iter().map(|command| format!("| [`{0}`]({0}.md) | {1} |\n", command.name, command.title));
    format!(
        "<!-- Generated from the commands' types; `make generate` rewrites it. -->\n\n# Reference\n\n| Command | For |\n| --- | --- |\n{}\n\
         The config file's schema is [`schema/landfall.schema.json`](../../schema/landfall.schema.json).\n",
        rows.collect::<String>()
    )
}

fn schema_of<T: schemars::JsonSchema>() -> String {
    let schema = schemars::schema_for!(T);
    let mut text = serde_json::to_string_pretty(schema.as_value()).unwrap_or_default();
    text.push('\n');
    text
}
