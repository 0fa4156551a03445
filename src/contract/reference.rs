//! Purpose: the reference page of a command, from its types.

use std::fmt::Write as _;

use super::spec::{InputSpec, OutputSpec};

/// What a page is made of.
#[derive(Debug, Clone)]
pub struct Page {
    /// The command.
    pub command: &'static str,
    /// One line.
    pub title: &'static str,
    /// Headings and their inputs.
    pub inputs: Vec<(&'static str, Vec<InputSpec>)>,
    /// Outputs in order.
    pub outputs: Vec<OutputSpec>,
}

impl Page {
    /// The page as Markdown.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = format!(
            "<!-- Generated from the command's types; `make generate` rewrites it. -->\n\n# `{}`\n\n",
            self.command
        );
        let _ = writeln!(text, "{}.\n", self.title.trim_end_matches('.'));
        let _ = writeln!(text, "```yaml\n- uses: landfall-ci/landfall/actions/{}@v1\n```\n", self.command);
        for (heading, inputs) in self.inputs.iter().filter(|(_, inputs)| !inputs.is_empty()) {
            let _ = writeln!(text, "## {heading}\n\n| Input | Value | Meaning |\n| --- | --- | --- |");
            for input in inputs {
                let _ = writeln!(text, "| {} | {} | {} |", names(input), cell(&input.kind), cell(&input.description));
            }
            text.push('\n');
        }
        text.push_str("## Outputs\n\n| Output | Meaning |\n| --- | --- |\n");
        for output in &self.outputs {
            let _ = writeln!(text, "| `{}` | {} |", output.name, cell(&output.description));
        }
        text
    }
}

fn names(input: &InputSpec) -> String {
    let aliases: Vec<String> = input.aliases.iter().map(|alias| format!("`{alias}`")).collect();
    match aliases.as_slice() {
        [] => format!("`{}`", input.name),
        aliases => format!("`{}`<br>also {}", input.name, aliases.join(", ")),
    }
}

fn cell(text: &str) -> String {
    text.replace("\n\n", "<br>").replace('|', "\\|")
}
