//! Purpose: where a dashboard is kept on GitHub: comments of ours, and one commit status per stage.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::comment::{Marker, MarkerName, clean};
use crate::domain::dashboard::{Board, Entry, Record, StageKey, StageStatus, read_hidden};
use crate::domain::names::{CommitSha, RepositoryName};
use crate::services::github::{
    Comment, CommitStatus, GithubClient, GithubError, Identity, LONGEST_DESCRIPTION, NewStatus, StatusState, Thread,
};

/// Before who asked, in a status's description.
const BY: &str = ", by ";

/// The places of one dashboard.
pub(super) struct Sources {
    pub(super) github: GithubClient,
    pub(super) me: Identity,
    pub(super) name: MarkerName,
    pub(super) sha: CommitSha,
    pub(super) repository: RepositoryName,
    /// The pull request, when there is one.
    pub(super) thread: Option<Thread>,
}

/// What the places hold at one time.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Our own comments for this commit, the oldest first; there should be one at most.
    pub(super) comments: Vec<Comment>,
    /// Everything that they and the statuses know.
    pub(super) board: Board,
    /// Whether the statuses could be read.
    pub(super) has_statuses: bool,
}

impl Sources {
    pub(super) fn marker(&self) -> Marker {
        Marker::of_commit(self.name.clone(), self.sha.clone())
    }

    /// Reads both places at the same time.
    ///
    /// # Errors
    /// [`GithubError`]; statuses that the token may not read are no error.
    pub(super) async fn look(&self, with_statuses: bool) -> Result<Seen, GithubError> {
        let statuses = async { if with_statuses { self.statuses().await } else { Ok(None) } };
        let (comments, statuses) = tokio::try_join!(self.comments(), statuses)?;
        let hidden = comments.iter().filter_map(|comment| read_hidden(&self.name, &comment.body));
        let board = hidden.fold(Board::default(), |board, hidden| board.merged(&hidden));
        let has_statuses = statuses.is_some();
        let board = statuses.into_iter().fold(board, |board, statuses| board.merged(&statuses));
        Ok(Seen { comments, board, has_statuses })
    }

    async fn comments(&self) -> Result<Vec<Comment>, GithubError> {
        match &self.thread {
            Some(thread) => self.github.own_comments(thread, &self.me, &self.marker()).await,
            None => Ok(Vec::new()),
        }
    }

    /// The statuses of our stages; `None` when the token may not read them.
    async fn statuses(&self) -> Result<Option<Board>, GithubError> {
        let mut pages = self.github.statuses(&self.repository, &self.sha);
        let mut ours = Vec::new();
        loop {
            match pages.next().await {
                Ok(Some(status)) => ours.extend(self.stage_of(&status.context).map(|key| (key, status))),
                Ok(None) => return Ok(Some(board_of(ours))),
                Err(error) if error.lacks_permission() => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    fn stage_of(&self, context: &str) -> Option<StageKey> {
        context.strip_prefix(self.name.as_str())?.strip_prefix('/')?.parse().ok()
    }

    /// Keeps a stage's record as a status; gives it as GitHub has it.
    ///
    /// # Errors
    /// [`GithubError`].
    pub(super) async fn keep_status(&self, key: &StageKey, record: &Record) -> Result<Record, GithubError> {
        let status = NewStatus {
            state: match record.status {
                StageStatus::Pending | StageStatus::Running => StatusState::Pending,
                StageStatus::Success | StageStatus::Skipped => StatusState::Success,
                StageStatus::Failure => StatusState::Failure,
            },
            context: format!("{}/{key}", self.name),
            description: description(record),
            target_url: record.link.clone(),
        };
        let made = self.github.create_status(&self.repository, &self.sha, &status).await?;
        Ok(record_of(&made, made.created_at))
    }
}

fn description(record: &Record) -> String {
    let by = record.by.as_deref().map(|by| format!("{BY}{by}")).unwrap_or_default();
    clean(&format!("{}{by}", record.status.word()), LONGEST_DESCRIPTION)
}

fn record_of(status: &CommitStatus, at: Timestamp) -> Record {
    let description = status.description.as_deref().unwrap_or_default();
    let (word, by) = description.split_once(BY).map_or((description, None), |(word, by)| (word, Some(by)));
    let said = StageStatus::ALL.into_iter().find(|known| known.word() == word);
    let stage_status = said.unwrap_or(match status.state {
        StatusState::Pending => StageStatus::Pending,
        StatusState::Success => StageStatus::Success,
        StatusState::Failure | StatusState::Error => StageStatus::Failure,
    });
    Record::new(stage_status, status.target_url.as_deref(), at, by)
}

/// The newest status of each stage is its state, all of them are the history. GitHub's times are cut to seconds: those
/// of one stage within a second are kept apart by their order.
fn board_of(mut statuses: Vec<(StageKey, CommitStatus)>) -> Board {
    statuses.sort_by_key(|(_, status)| status.id);
    let mut latest: BTreeMap<StageKey, Record> = BTreeMap::new();
    let mut board = Board::default();
    let mut before: BTreeMap<(StageKey, Timestamp), i64> = BTreeMap::new();
    for (key, status) in statuses {
        let count = before.entry((key.clone(), status.created_at)).or_default();
        let shift = jiff::SignedDuration::from_millis(*count);
        *count += 1;
        let at = status.created_at.checked_add(shift).unwrap_or(status.created_at);
        let record = record_of(&status, at);
        board.remember(Entry { key: key.clone(), record: record.clone() });
        latest.insert(key, record);
    }
    for (key, record) in &latest {
        board.note_state(key, record);
    }
    board
}
