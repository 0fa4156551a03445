//! Purpose: failed tests, each with what a person needs to start: where, what, and its last words.

use crate::domain::markdown::{Markdown, code, escaped};
use crate::domain::report::junit::{Failed, Tests, Wrong};
use crate::domain::report::shortened;

use super::{Origin, counted, more};

/// Failed tests that are shown with their text; the others by name.
const IN_FULL: usize = 25;
/// Failed tests that are named in all.
const NAMED: usize = 200;
/// Lines of a text that are shown.
const LINES: usize = 60;

pub(super) fn sections(tests: &Tests, origin: &Origin, sections: &mut Vec<String>) {
    let failed = &tests.failed.kept;
    if failed.is_empty() {
        return;
    }
    let heading = Markdown::new().heading(4, "Failed tests").into_string();
    for (number, test) in failed.iter().take(IN_FULL).enumerate() {
        let section = one(test, origin);
        // The heading is part of the first section: alone it would say nothing.
        sections.push(if number == 0 { format!("{heading}{section}") } else { section });
    }
    if failed.len() > IN_FULL {
        let row = |test: &Failed| vec![code(&test.title()), escaped(&shortened(&test.message, 120))];
        let rows = failed.iter().skip(IN_FULL).take(NAMED - IN_FULL).map(row);
        let table = Markdown::new().table(&["Test", "Message"], rows);
        let left = usize::try_from(tests.failed.left_out).unwrap_or(usize::MAX);
        let table = more(table, left, "failed tests");
        let rest = tests.failed.count().saturating_sub(IN_FULL as u64);
        sections.push(Markdown::new().details(&counted(rest, "further failed test"), &table).into_string());
    }
}

fn one(test: &Failed, origin: &Origin) -> String {
    let sign = match test.wrong {
        Wrong::Failure => "❌",
        Wrong::Error => "💥",
    };
    let mut inside = Markdown::new();
    let mut about = Vec::new();
    about.extend(test.place.as_ref().map(|place| origin.place(&place.file, place.line)));
    if test.reruns > 0 {
        about.push(format!("failed {} times", test.reruns + 1));
    }
    if !about.is_empty() {
        inside = inside.raw(&about.join(" · "));
    }
    let text = if test.text.trim().is_empty() { &test.message } else { &test.text };
    if !text.trim().is_empty() {
        inside = inside.code_block("text", &lines(text));
    }
    if !test.output.is_empty() {
        inside = inside.raw("Output:").code_block("text", &lines(&test.output));
    }
    let message = shortened(&test.message, 120);
    let title = format!("{sign} {}{}{message}", test.title(), if message.is_empty() { "" } else { ": " });
    Markdown::new().details(&title, &inside).into_string()
}

/// The first lines, and the last: the beginning of a stack trace says where, its end says why.
fn lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() <= LINES {
        return text.to_owned();
    }
    let half = LINES / 2;
    let left_out = lines.len() - 2 * half;
    let (first, last) = (&lines[..half], &lines[lines.len() - half..]);
    format!("{}\n… {left_out} lines left out …\n{}", first.join("\n"), last.join("\n"))
}
