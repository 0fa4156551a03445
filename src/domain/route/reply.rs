//! Purpose: what a person is told who gave a command that was not done.

use super::judge::Refusal;
use super::table::CommandRoute;
use crate::domain::markdown::{Markdown, code, escaped};

/// The commands, as a table.
#[must_use]
pub fn list(routes: &[(String, CommandRoute)]) -> String {
    table(Markdown::new(), routes).into_string()
}

fn table(text: Markdown, routes: &[(String, CommandRoute)]) -> Markdown {
    let rows = routes.iter().map(|(words, route)| {
        let confirm = route.confirm.as_deref().map(|word| format!(" {word}")).unwrap_or_default();
        vec![code(&format!("{words}{confirm}")), route.help.as_deref().map(escaped).unwrap_or_default()]
    });
    text.table(&["Command", "Does"], rows)
}

/// For a command that there is not.
#[must_use]
pub fn unknown(word: &str, near: Option<&str>, routes: &[(String, CommandRoute)]) -> String {
    let guess = near.map(|near| format!(" Did you mean {}?", code(near))).unwrap_or_default();
    let text = Markdown::new().raw(&format!("{} is not a command here, and nothing was done.{guess}", code(word)));
    table(text, routes).into_string()
}

/// For a command that was refused.
#[must_use]
pub fn refused(words: &str, refusal: &Refusal, head: &str) -> String {
    let why = match refusal {
        Refusal::SenderMismatch => "somebody else than its author caused this event".to_owned(),
        Refusal::Permission { has, needs } => {
            format!("it needs the permission {}, and you have {}", code(needs.as_str()), code(has.as_str()))
        }
        Refusal::Fork => "the pull request comes from a fork".to_owned(),
        Refusal::NotConfirmed { wanted } => {
            format!("it must be confirmed: {}", code(&format!("{words} {wanted}")))
        }
        Refusal::OtherCommit => format!("the head of the pull request is {}, not the commit that you name", code(head)),
        Refusal::NewerCommit => format!(
            "{} was pushed after your comment. Look at it, then comment again, or name it: {}",
            code(head),
            code(&format!("{words} {head}"))
        ),
        Refusal::AgeUnknown => format!(
            "nothing proves that {} was there before your comment. Name the commit that you mean: {}",
            code(head),
            code(&format!("{words} {head}"))
        ),
    };
    Markdown::new().raw(&format!("{} was not run: {why}.", code(words))).into_string()
}
