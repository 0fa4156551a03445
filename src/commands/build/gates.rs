//! Purpose: what an image on this machine must pass before it leaves it.

use std::sync::{Mutex, PoisonError};

use super::plan::{Plan, refused};
use super::summary::human;
use crate::commands::run::Run;
use crate::runner::{Failure, Kind};
use crate::services::engine::{Engine, Image, OneShot};

/// The engine's image of that id, which must be there.
pub(super) async fn image(engine: &Engine, id: Option<&str>) -> Result<Image, Failure> {
    let lost = || {
        Failure::new(
            Kind::Work,
            "image-lost",
            "Image lost",
            "the builder reported success, but the engine has no such image",
        )
        .hint("Something removed the image right after the build; look for a prune that runs at the same time.")
    };
    engine.image(id.ok_or_else(lost)?).await?.ok_or_else(lost)
}

/// Smoke test and size, in this order.
pub(super) async fn pass(plan: &Plan, run: &Run, engine: &Engine, image: &Image) -> Result<(), Failure> {
    smoke(plan, run, engine, image).await?;
    size(plan, image)
}

async fn smoke(plan: &Plan, run: &Run, engine: &Engine, image: &Image) -> Result<(), Failure> {
    let Some(words) = &plan.settings.smoke else {
        return Ok(());
    };
    let shown = command_line(words);
    let group = run.log.group(format!("Smoke test: {shown}"));
    let container = OneShot { image: image.id.clone(), entrypoint: Some(words.clone()), ..OneShot::default() };
    let lines = Lines::default();
    let exit = engine.run(&container, |_, bytes| lines.take(bytes, |line| run.log.foreign(line))).await;
    lines.end(|line| run.log.foreign(line));
    drop(group);
    let exit = exit?;
    if exit.code == 0 {
        return Ok(());
    }
    let why = if exit.out_of_memory { " (out of memory)" } else { "" };
    Err(refused(
        "smoke-failed",
        "Smoke test failed",
        format!("`{shown}` ended with exit code {}{why} in the built image", exit.code),
    )
    .hint("Its output is in the log; nothing was pushed."))
}

/// Puts lines together again, which arrive in pieces.
#[derive(Default)]
struct Lines(Mutex<Vec<u8>>);

/// A line that is longer is printed in parts.
const LONGEST_LINE: usize = 16 * 1024;

impl Lines {
    fn take(&self, bytes: &[u8], print: impl Fn(&str)) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend_from_slice(bytes);
        loop {
            let end = waiting.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let Some(end) = end.or((waiting.len() > LONGEST_LINE).then_some(LONGEST_LINE)) else { return };
            let line: Vec<u8> = waiting.drain(..end).collect();
            print(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        }
    }

    fn end(&self, print: impl Fn(&str)) {
        let rest = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if !rest.is_empty() {
            print(String::from_utf8_lossy(&rest).trim_end_matches('\r'));
        }
    }
}

/// The words as somebody would type them.
fn command_line(words: &[String]) -> String {
    let quoted = words.iter().map(|word| {
        if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "\"'$;&|<>".contains(c)) {
            format!("'{}'", word.replace('\'', "'\\''"))
        } else {
            word.clone()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn size(plan: &Plan, image: &Image) -> Result<(), Failure> {
    match plan.settings.max_size {
        Some(limit) if image.size > limit => {
            let message = format!("the image has {}, but max_size allows {}", human(image.size), human(limit));
            Err(refused("image-too-large", "Image too large", message).hint("Nothing was pushed."))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn lines_are_whole_whatever_pieces_they_come_in() {
        let (lines, printed) = (Lines::default(), RefCell::new(Vec::new()));
        let print = |line: &str| printed.borrow_mut().push(line.to_owned());
        for piece in ["on", "e\r\ntw", "o\n\nthr", "ee"] {
            lines.take(piece.as_bytes(), print);
        }
        lines.end(print);
        lines.end(print);
        assert_eq!(*printed.borrow(), ["one", "two", "", "three"]);
    }
}
