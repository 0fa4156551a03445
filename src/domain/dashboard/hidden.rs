//! Purpose: a board inside of its own comment, where no reader sees it and nothing in it can end the HTML comment.
//!
//! `<!-- {name}-state:1:{base64url of JSON} -->`. Whoever may edit the comment may edit this, so it is read as text from
//! outside: bounded, checked, and in doubt as nothing.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use super::board::{Board, Entry, LONGEST_HISTORY, MOST_STAGES, Record};
use super::stage::{StageKey, Stages};
use crate::domain::comment::{LONGEST_UNITS, MarkerName, clean};

/// The most commands that are kept.
pub const MOST_COMMANDS: usize = 30;
/// The longest words about a command, in characters.
const LONGEST_WORDS: usize = 120;

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Hidden {
    stages: Vec<HiddenStage>,
    commands: Vec<(String, String)>,
    history: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
struct HiddenStage {
    #[serde(rename = "k")]
    key: StageKey,
    /// Left out when it is the key.
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    title: String,
    #[serde(flatten)]
    record: Option<Record>,
}

/// The line that carries a board; every stage that has a record must be named.
#[must_use]
pub fn hidden(name: &MarkerName, board: &Board) -> String {
    let stage = |(key, title, record): (&StageKey, &str, Option<&Record>)| HiddenStage {
        key: key.clone(),
        title: if title == key.as_str() { String::new() } else { title.to_owned() },
        record: record.cloned(),
    };
    let content = Hidden {
        stages: board.rows().map(stage).collect(),
        commands: board.commands.clone(),
        history: board.history().to_vec(),
    };
    let json = serde_json::to_vec(&content).unwrap_or_default();
    format!("{}{} -->", prefix(name), URL_SAFE_NO_PAD.encode(json))
}

/// The board that a comment carries; `None` when it carries none that can be read.
#[must_use]
pub fn read_hidden(name: &MarkerName, body: &str) -> Option<Board> {
    let prefix = prefix(name);
    let line = body.lines().rev().map(str::trim).find(|line| line.starts_with(&prefix))?;
    let coded = line.strip_prefix(&prefix)?.strip_suffix("-->")?.trim();
    if coded.len() > LONGEST_UNITS {
        return None;
    }
    let content: Hidden = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(coded).ok()?).ok()?;
    let words = |text: &str| clean(text, LONGEST_WORDS);
    let commands = content.commands.iter().take(MOST_COMMANDS).map(|(usage, help)| (words(usage), words(help)));
    let mut board = Board::named(Stages::default(), commands.collect());
    for stage in content.stages.into_iter().take(MOST_STAGES) {
        if let Some(record) = &stage.record {
            board.note_state(&stage.key, record);
        }
        board.stages.set(stage.key, &stage.title);
    }
    for entry in content.history.into_iter().take(LONGEST_HISTORY) {
        board.remember(entry);
    }
    Some(board)
}

fn prefix(name: &MarkerName) -> String {
    format!("<!-- {name}-state:1:")
}
