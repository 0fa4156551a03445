//! Purpose: workflow commands (`::name key=value::data`), escaped so that no text can become one.
//!
//! Escapes: data `%25 %0D %0A`, property values also `%3A %2C` (actions/runner, `ActionCommand`). The runner also
//! honours the legacy form `##[name]data` anywhere inside a line, but looks for it only in lines that are no command.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use super::mask::Masks;

/// A workflow command ready to be printed on a line of its own.
#[derive(Debug, Clone)]
pub(super) struct WorkflowCommand<'a> {
    name: &'a str,
    properties: Vec<(&'static str, String)>,
    data: Cow<'a, str>,
}

impl<'a> WorkflowCommand<'a> {
    /// A command without properties.
    pub(super) fn new(name: &'a str, data: &'a str) -> Self {
        Self { name, properties: Vec::new(), data: Cow::Borrowed(data) }
    }

    /// Adds a property; an empty value is left out, as the runner's own toolkit does.
    pub(super) fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        let value = value.into();
        if !value.is_empty() {
            self.properties.push((key, value));
        }
        self
    }

    /// Hides secrets: before anything is escaped, when they still look as they are known.
    pub(super) fn without_secrets(mut self, masks: &Masks) -> Self {
        self.data = Cow::Owned(masks.redact(&self.data));
        for (_, value) in &mut self.properties {
            *value = masks.redact(value);
        }
        self
    }
}

impl fmt::Display for WorkflowCommand<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "::{}", self.name)?;
        for (position, (key, value)) in self.properties.iter().enumerate() {
            f.write_char(if position == 0 { ' ' } else { ',' })?;
            write!(f, "{key}={}", escape_property(value))?;
        }
        write!(f, "::{}", escape_data(&self.data))
    }
}

fn escape_data(text: &str) -> String {
    escape(text, |c| matches!(c, '%' | '\r' | '\n'))
}

fn escape_property(text: &str) -> String {
    escape(text, |c| matches!(c, '%' | '\r' | '\n' | ':' | ','))
}

fn escape(text: &str, special: impl Fn(char) -> bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special(c) {
            let _ = write!(escaped, "%{:02X}", u32::from(c));
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// Whether the runner would take this line for a command.
pub(super) fn could_be_command(line: &str) -> bool {
    line.trim_start().starts_with("::") || line.contains("##[")
}
