//! Purpose: what is asked of others at this moment, so that a command which runs out of time can say for whom it waited.

use std::cell::RefCell;
use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

tokio::task_local! {
    static OPEN: RefCell<Questions>;
}

#[derive(Default)]
struct Questions {
    /// Without an answer so far, the latest last.
    open: Vec<String>,
    /// The last that is open no more: between two tries it is what the work waits for.
    last: Option<String>,
}

/// Does work whose open questions [`time_is_up`] knows, as long as both belong to it.
pub async fn noted<F: Future>(work: F) -> F::Output {
    OPEN.scope(RefCell::default(), work).await
}

/// A question without an answer; dropped when there is one.
#[must_use]
pub(super) struct Asking(String);

/// Notes a question: `what` is whom and what for, as a noun phrase.
pub(super) fn asking(what: impl Display) -> Asking {
    let what = what.to_string();
    // Work outside of a command, in tests for example, has nobody to tell.
    let _ = OPEN.try_with(|open| open.borrow_mut().open.push(what.clone()));
    Asking(what)
}

impl Drop for Asking {
    fn drop(&mut self) {
        let _ = OPEN.try_with(|open| {
            let Questions { open, last } = &mut *open.borrow_mut();
            if let Some(position) = open.iter().rposition(|what| *what == self.0) {
                *last = Some(open.remove(position));
            }
        });
    }
}

/// Ends when the time is up, with words for the end of a sentence: for whom the work waits then, if it waits for anybody.
pub async fn time_is_up(limit: Duration) -> String {
    tokio::time::sleep(limit).await;
    let words = OPEN.try_with(|questions| {
        let Questions { open, last } = &*questions.borrow();
        match (open.last(), last) {
            (Some(what), _) => format!("; it still waited for {what}"),
            (None, Some(what)) => format!("; the last that it asked was {what}"),
            (None, None) => String::new(),
        }
    });
    words.unwrap_or_default()
}

/// Does work within a time.
///
/// # Errors
/// The words of [`time_is_up`].
pub async fn in_time<T>(limit: Duration, work: impl Future<Output = T>) -> Result<T, String> {
    tokio::select! {
        done = work => Ok(done),
        waited_for = time_is_up(limit) => Err(waited_for),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_open_question_is_named() {
        let words = noted(async {
            let _first = asking("GitHub");
            drop(asking("answered"));
            let second = asking("ecs:DescribeServices");
            let words = time_is_up(Duration::ZERO).await;
            drop(second);
            [words, time_is_up(Duration::ZERO).await]
        });
        let told = ["; it still waited for ecs:DescribeServices", "; it still waited for GitHub"];
        assert_eq!(words.await, told);
        let between = noted(async {
            drop(asking("sts:AssumeRole"));
            time_is_up(Duration::ZERO).await
        });
        assert_eq!(between.await, "; the last that it asked was sts:AssumeRole");
        assert_eq!(noted(time_is_up(Duration::ZERO)).await, "");
        assert_eq!(time_is_up(Duration::ZERO).await, "");
    }
}
