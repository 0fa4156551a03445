//! Purpose: the picture of a board: the comment's text, and the same for a job summary.

use jiff::Timestamp;

use super::board::{Board, Record};
use super::hidden::hidden;
use super::stage::StageStatus;
use crate::domain::comment::{LONGEST_BYTES, LONGEST_UNITS, Marker, MarkerName};
use crate::domain::markdown::{Markdown, code, escaped, link};
use crate::domain::names::CommitSha;

/// Stands around the line about the next step, for programs that look for it.
const NEXT_STEP: &str = "<!-- next-step -->";

/// A board and what it is the picture of.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// Whose comment it is.
    pub name: &'a MarkerName,
    /// Words of the heading.
    pub title: &'a str,
    /// The commit.
    pub sha: &'a CommitSha,
    /// What is known.
    pub board: &'a Board,
}

impl Picture<'_> {
    /// The text of the comment. What would make it too long goes: the history, then long links, then all links, then the
    /// ends of titles.
    #[must_use]
    pub fn comment(&self) -> String {
        let steps: [fn(&mut Board); 5] = [
            |_| {},
            |board| board.forget_history(0),
            |board| board.forget_links(150),
            |board| board.forget_links(0),
            |board| board.forget_words(24),
        ];
        let mut board = self.board.clone();
        let mut text = String::new();
        for step in steps {
            step(&mut board);
            text = Picture { board: &board, ..*self }.whole();
            if text.len() <= LONGEST_BYTES && text.encode_utf16().count() <= LONGEST_UNITS {
                break;
            }
        }
        text
    }

    fn whole(&self) -> String {
        let marker = Marker::of_commit(self.name.clone(), self.sha.clone());
        format!("{marker}\n{}{}\n", self.shown(2).into_string(), hidden(self.name, self.board))
    }

    /// The same for a job summary.
    #[must_use]
    pub fn summary(&self) -> String {
        self.shown(3).into_string()
    }

    fn shown(&self, level: usize) -> Markdown {
        let heading = format!("{} ⚙️ {} {}", "#".repeat(level), escaped(self.title), code(self.sha.short()));
        let rows = self.board.rows().map(|(_, title, record)| row(title, record));
        let mut text = Markdown::new()
            .raw(&heading)
            .table(&["Stage", "Status", "Output", "Time"], rows)
            .raw(&format!("{NEXT_STEP}\n**Next step:** {}\n{NEXT_STEP}", next_step(self.board)));
        if !self.board.history().is_empty() {
            text = text.details("Action History", &self.history());
        }
        if !self.board.commands.is_empty() {
            let commands = self.board.commands.iter().map(|(usage, help)| vec![code(usage), escaped(help)]);
            text = text.details("Commands", &Markdown::new().table(&["Comment", "Does"], commands));
        }
        text
    }

    fn history(&self) -> Markdown {
        let rows = self.board.history().iter().map(|entry| {
            let title = self.board.stages.title(&entry.key).unwrap_or(entry.key.as_str());
            let Record { status, link, at, by } = &entry.record;
            vec![
                format!("{} {}", escaped(title), status.sign()),
                by.as_deref().map_or_else(nothing, escaped),
                link.as_deref().map_or_else(nothing, view),
                at.strftime("%m-%d %H:%M").to_string(),
            ]
        });
        Markdown::new().table(&["Action", "Trigger", "Output", "Time"], rows)
    }
}

fn row(title: &str, record: Option<&Record>) -> Vec<String> {
    let status = record.map_or(StageStatus::Pending, |record| record.status);
    vec![
        escaped(title),
        status.sign().to_owned(),
        record.and_then(|record| record.link.as_deref()).map_or_else(nothing, view),
        record.map_or_else(nothing, |record| clock(record.at)),
    ]
}

fn nothing() -> String {
    "-".to_owned()
}

/// A link that can be one; anything else is nothing.
fn view(address: &str) -> String {
    let linked = link("View", address);
    if linked.starts_with('[') { linked } else { nothing() }
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M").to_string()
}

/// What somebody should do, or wait for, in one sentence of Markdown.
#[must_use]
pub fn next_step(board: &Board) -> String {
    let rows: Vec<_> = board.rows().collect();
    let first = |wanted: StageStatus| {
        rows.iter().find(|(_, _, record)| record.map_or(StageStatus::Pending, |record| record.status) == wanted)
    };
    if let Some((_, title, record)) = first(StageStatus::Failure) {
        let output = record.and_then(|record| record.link.as_deref()).map(view).filter(|link| link.starts_with('['));
        let see = output.map(|link| format!(" {link} its output.")).unwrap_or_default();
        return format!("❌ {} failed.{see}", escaped(title));
    }
    if let Some((_, title, _)) = first(StageStatus::Running) {
        return format!("🔄 {} is running.", escaped(title));
    }
    match first(StageStatus::Pending) {
        Some((_, title, _)) => format!("⏳ {} is pending.", escaped(title)),
        None if rows.is_empty() => "no stage is known yet.".to_owned(),
        None => "✅ Ready to merge.".to_owned(),
    }
}
