//! Purpose: many jobs, one comment: write the picture of all records, then look again until nobody knows more.
//!
//! With statuses nothing is ever lost. Whoever writes the comment last looks at all statuses after that, later than
//! GitHub needs to show them, and sees no record that is missing in it; a record that is made later is followed by its own
//! maker's write. In the comment alone an update can be overwritten by a job that read before it: each job therefore
//! repairs what it knows to be missing, and when it had to, leaves only after the comment has stood still.

use std::time::Duration;

use super::inputs::Keep;
use super::plan::Plan;
use super::sources::Seen;
use crate::commands::run::Run;
use crate::domain::dashboard::{Board, read_hidden};
use crate::runner::{Failure, Kind};
use crate::services::github::{Comment, GithubError, Thread};

/// Time after a write until every listing of GitHub surely shows it.
const SETTLE: Duration = Duration::from_millis(1500);
/// Random time on top, so that jobs that began together do not stay together.
const JITTER: Duration = Duration::from_millis(500);
/// How often the comment is written before it is given up that it stands still.
const MOST_WRITES: usize = 30;

/// Where the dashboard is now.
pub(super) enum Place {
    /// In this comment.
    Comment(Comment),
    /// Nowhere: the token may not write comments.
    ReadOnly(GithubError),
}

/// The loop's own knowledge.
struct Course<'a> {
    plan: &'a Plan,
    run: &'a Run,
    thread: &'a Thread,
    keep: Keep,
    board: Board,
    seen: Seen,
    /// Id of the comment that we wrote last.
    mine: Option<u64>,
    writes: usize,
    /// Looks since the last write that found everything in its place.
    good_looks: usize,
}

/// Publishes the board; afterwards `board` is what the comment shows.
///
/// # Errors
/// Those of GitHub; when the comment never stood still, or the run was cancelled.
pub(super) async fn publish(
    plan: &Plan,
    run: &Run,
    thread: &Thread,
    keep: Keep,
    board: &mut Board,
) -> Result<Place, Failure> {
    let seen = plan.seen.clone();
    let start = std::mem::take(board);
    let mut course = Course { plan, run, thread, keep, board: start, seen, mine: None, writes: 0, good_looks: 0 };
    let place = course.follow().await;
    *board = course.board;
    place
}

impl Course<'_> {
    async fn follow(&mut self) -> Result<Place, Failure> {
        loop {
            self.board = std::mem::take(&mut self.board).merged(&self.seen.board);
            self.board.append_unnamed();
            let text = self.plan.picture(&self.board).comment();
            let stays = self.seen.comments.first().cloned();
            match stays {
                Some(comment) if self.is_in(&comment, &text) => {
                    self.good_looks += 1;
                    if self.may_leave(&comment, &text) {
                        self.delete_others().await?;
                        return Ok(Place::Comment(comment));
                    }
                    if self.writes > 0 {
                        self.look_again().await?;
                        continue;
                    }
                    if let Some(error) = self.write(Some(comment.id), &text).await? {
                        return Ok(Place::ReadOnly(error));
                    }
                }
                other => {
                    if let Some(error) = self.write(other.map(|comment| comment.id), &text).await? {
                        return Ok(Place::ReadOnly(error));
                    }
                }
            }
        }
    }

    /// Whether a comment has every record that our text has. Titles may differ: whoever knows better ones has written
    /// them, and two jobs must not take turns over them.
    fn is_in(&self, comment: &Comment, text: &str) -> bool {
        let name = &self.plan.settings.name;
        let ours = read_hidden(name, text).unwrap_or_default();
        read_hidden(name, &comment.body).is_some_and(|theirs| theirs.knows(&ours))
    }

    fn may_leave(&self, comment: &Comment, text: &str) -> bool {
        match self.writes {
            0 => comment.body == text,
            // The records are safe in statuses; and a comment that needed one write had one writer.
            1 => true,
            _ => self.seen.has_statuses && self.keep != Keep::Comment || self.good_looks >= 2,
        }
    }

    /// Writes the text, waits, and looks again; gives the refusal of a token that may only read.
    async fn write(&mut self, id: Option<u64>, text: &str) -> Result<Option<GithubError>, Failure> {
        if self.writes == MOST_WRITES {
            return Err(restless(self.plan));
        }
        self.good_looks = 0;
        self.writes += 1;
        let sources = &self.plan.sources;
        let written = match id {
            Some(id) => sources.github.update_comment(&sources.repository, id, text).await,
            None => {
                let marker = sources.marker();
                sources.github.create_own_comment(self.thread, &sources.me, &marker, text).await.map(Some)
            }
        };
        match written {
            Ok(comment) => self.mine = comment.map(|comment| comment.id),
            Err(error) if error.lacks_permission() => return Ok(Some(error)),
            Err(error) => return Err(error.into()),
        }
        self.look_again().await?;
        Ok(None)
    }

    async fn look_again(&mut self) -> Result<(), Failure> {
        let wait = SETTLE + JITTER.mul_f64(fraction(&self.run.random.token()));
        self.run.unless_cancelled(tokio::time::sleep(wait)).await?;
        let sources = &self.plan.sources;
        self.seen = sources.look(self.keep != Keep::Comment).await?;
        self.seen_with_mine().await?;
        Ok(())
    }

    /// A listing can be older than our own comment; another one must not be made for that.
    async fn seen_with_mine(&mut self) -> Result<(), GithubError> {
        let Some(mine) = self.mine else {
            return Ok(());
        };
        if self.seen.comments.first().is_some_and(|comment| comment.id <= mine) {
            return Ok(());
        }
        let sources = &self.plan.sources;
        if let Some(comment) = sources.github.comment(&sources.repository, mine).await? {
            if let Some(hidden) = read_hidden(&self.plan.settings.name, &comment.body) {
                self.seen.board = std::mem::take(&mut self.seen.board).merged(&hidden);
            }
            self.seen.comments.insert(0, comment);
        }
        Ok(())
    }

    /// The comments that lost a race to be the first: what they knew is in the one that stays.
    async fn delete_others(&self) -> Result<(), GithubError> {
        let sources = &self.plan.sources;
        for other in self.seen.comments.iter().skip(1) {
            sources.github.delete_comment(&sources.repository, other.id).await?;
        }
        Ok(())
    }
}

/// A number from 0 to 1 from a random token.
fn fraction(token: &str) -> f64 {
    let byte = token.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).unwrap_or(0);
    f64::from(byte) / 255.0
}

fn restless(plan: &Plan) -> Failure {
    let sha = plan.sources.sha.short();
    let message = format!("the dashboard of {sha} was overwritten by other jobs {MOST_WRITES} times");
    Failure::new(Kind::Work, "dashboard-contended", "Dashboard overwritten", message)
        .hint("Give the jobs the permission `statuses: write`, so that no update can be lost.")
        .hint("Two programs must not use the same `marker`.")
}
