//! Purpose: `action.yml` of the root action and of each command, from the commands' types.
//!
//! No input declares a default but the token: the runner could not tell a default from a given value, and a default
//! would win over the config file. What applies when an input is not given stands in its description.

use std::fmt::Write as _;

use super::spec::{InputSpec, OutputSpec};

/// The image that every action runs; a release rewrites it to the digest in the tagged commit.
pub const IMAGE: &str = concat!("docker://ghcr.io/landfall-ci/landfall:v", env!("CARGO_PKG_VERSION"));

/// What an action's metadata is made of.
#[derive(Debug, Clone)]
pub struct Action {
    /// Name in the Marketplace.
    pub name: String,
    /// One line.
    pub description: String,
    /// Icon and colour.
    pub branding: (&'static str, &'static str),
    /// Inputs in order.
    pub inputs: Vec<InputSpec>,
    /// Outputs in order.
    pub outputs: Vec<OutputSpec>,
    /// The command that it is fixed to, if it is.
    pub command: Option<&'static str>,
}

impl Action {
    /// The metadata file.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::from("# Generated from the commands' types; `make generate` rewrites it.\n");
        let _ = writeln!(text, "name: {}", quoted(&self.name));
        let _ = writeln!(text, "description: {}", quoted(&self.description));
        text.push_str("author: The Landfall authors\n");
        let _ = writeln!(text, "branding:\n  icon: {}\n  color: {}", self.branding.0, self.branding.1);
        text.push_str("inputs:\n");
        for input in &self.inputs {
            let _ = write!(
                text,
                "  {}:\n    description: {}\n    required: false\n",
                input.name,
                quoted(&input.description)
            );
            if input.name == "github_token" {
                text.push_str("    default: ${{ github.token }}\n");
            }
            // The only way for an action to learn how its job stands; the runner fills it in (actions/runner,
            // `action_yaml.json`, "input-default-context").
            if input.name == "status" && self.command == Some("notify") {
                text.push_str("    default: ${{ job.status }}\n");
            }
        }
        text.push_str("outputs:\n");
        for output in &self.outputs {
            let _ = write!(text, "  {}:\n    description: {}\n", output.name, quoted(&output.description));
        }
        let _ = write!(text, "runs:\n  using: docker\n  image: {IMAGE}\n");
        if let Some(command) = self.command {
            let _ = writeln!(text, "  args:\n    - {command}");
        }
        // A second name of the same binary: main and post get the same arguments and could not be told apart.
        text.push_str("  entrypoint: /landfall\n  post-entrypoint: /landfall-post\n");
        text
    }
}

/// A YAML double-quoted scalar; JSON's is one.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.split_whitespace().collect::<Vec<_>>().join(" ")).to_string()
}
