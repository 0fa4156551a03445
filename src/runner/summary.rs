//! Purpose: the job summary: whole sections of Markdown, never above the runner's limit.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::environment::Environment;
use super::mask::Masks;

/// Size above which the runner drops a step's whole summary, in bytes (GitHub documentation, "job summaries").
const LIMIT: usize = 1024 * 1024;
/// Said instead of the sections that would not fit.
const CUT: &str = "\n> The rest of this summary does not fit into GitHub's limit of 1 MiB; the log has all of it.\n";

/// The sections of this step's summary; clones add to the same one.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    sections: Arc<Mutex<Vec<String>>>,
    path: Option<PathBuf>,
}

impl Summary {
    /// The file named by `GITHUB_STEP_SUMMARY`; outside a runner there is none.
    #[must_use]
    pub fn of(environment: &Environment) -> Self {
        Self { path: environment.get("GITHUB_STEP_SUMMARY").map(PathBuf::from), ..Self::default() }
    }

    /// Adds a section of Markdown.
    pub fn section(&self, markdown: impl Into<String>) {
        self.sections.lock().unwrap_or_else(PoisonError::into_inner).push(markdown.into());
    }

    /// Writes all sections that fit, with secrets hidden.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write(&self, masks: &Masks) -> std::io::Result<()> {
        let sections = std::mem::take(&mut *self.sections.lock().unwrap_or_else(PoisonError::into_inner));
        let Some(path) = self.path.as_deref().filter(|_| !sections.is_empty()) else {
            return Ok(());
        };
        let mut file = OpenOptions::new().create(true).append(true).open(path)?;
        let present = usize::try_from(file.metadata()?.len()).unwrap_or(LIMIT);
        let redacted = sections.iter().map(|section| masks.redact(section));
        file.write_all(fitting(redacted, LIMIT.saturating_sub(present)).as_bytes())
    }
}

/// As many whole sections as fit into `room` bytes.
fn fitting(sections: impl IntoIterator<Item = String>, room: usize) -> String {
    let mut text = String::new();
    for section in sections {
        let end = if section.ends_with('\n') { "\n" } else { "\n\n" };
        if text.len() + section.len() + end.len() + CUT.len() > room {
            if text.len() + CUT.len() <= room {
                text.push_str(CUT);
            }
            break;
        }
        text.push_str(&section);
        text.push_str(end);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_at_a_section_and_says_so() {
        let sections = ["a".repeat(400), "b".repeat(400), "c".repeat(400)];
        let text = fitting(sections.clone(), 1000);
        assert!(text.contains('b') && !text.contains("ccc") && text.ends_with(CUT));
        assert!(text.len() <= 1000);
        assert!(!fitting(sections, 4000).contains("does not fit"));
        assert_eq!(fitting(["x".repeat(50)], 10), "");
    }
}
