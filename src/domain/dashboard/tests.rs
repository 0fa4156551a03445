//! Purpose: the dashboard's promises: no order of merging matters, nothing hidden breaks out, nothing is too long.

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::domain::comment::{LONGEST_UNITS, Marker, MarkerName};
use crate::domain::names::CommitSha;

fn name() -> MarkerName {
    "infra-dashboard".parse().unwrap()
}

fn sha() -> CommitSha {
    "abc1234def0123456789abcdef0123456789abcd".parse().unwrap()
}

fn key(text: &str) -> StageKey {
    text.parse().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_700_000_000 + second).unwrap()
}

fn record(status: StageStatus, second: i64) -> Record {
    Record::new(status, Some("https://github.com/acme/app/actions/runs/1"), at(second), Some("octocat (push)"))
}

fn picture(board: &Board) -> String {
    Picture { name: &name(), title: "Commit Dashboard", sha: &sha(), board }.comment()
}

#[test]
fn a_dashboard_reads_well() {
    let mut board = Board::named(default_stages(), vec![("/plan".to_owned(), "Plans every layer".to_owned())]);
    board.note(key("plan-bootstrap"), &record(StageStatus::Running, 0));
    board.note(key("plan-bootstrap"), &record(StageStatus::Success, 60));
    board.note(key("plan-platform"), &record(StageStatus::Failure, 61));
    board.note(key("apply"), &Record::new(StageStatus::Skipped, None, at(62), None));
    board.note(key("e2e"), &record(StageStatus::Running, 63));
    board.note(key("my stage"), &record(StageStatus::Pending, 64));
    board.append_unnamed();
    let text = picture(&board);
    let shown: Vec<&str> = text.lines().filter(|line| !line.contains("-state:")).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn the_next_step_follows_from_the_table() {
    let mut stages = Stages::default();
    stages.set(key("plan"), "Plan");
    stages.set(key("apply"), "Apply");
    let mut board = Board::named(stages, Vec::new());
    assert_eq!(next_step(&board), "⏳ Plan is pending.");
    board.note(key("plan"), &record(StageStatus::Success, 1));
    assert_eq!(next_step(&board), "⏳ Apply is pending.");
    board.note(key("apply"), &record(StageStatus::Running, 2));
    assert_eq!(next_step(&board), "🔄 Apply is running.");
    board.note(key("apply"), &record(StageStatus::Skipped, 3));
    assert_eq!(next_step(&board), "✅ Ready to merge.");
    board.note(key("plan"), &Record::new(StageStatus::Failure, None, at(4), None));
    assert_eq!(next_step(&board), "❌ Plan failed.");
    assert_eq!(next_step(&Board::default()), "no stage is known yet.");
}

#[test]
fn a_name_stands_for_a_stage_or_for_a_group() {
    let stages = default_stages();
    assert_eq!(stages.named(&key("plan")).len(), 4);
    assert_eq!(stages.named(&key("plan-data")).len(), 2);
    assert_eq!(stages.named(&key("apply")), [key("apply")]);
    assert_eq!(stages.named(&key("other")), [key("other")]);
}

#[test]
fn a_hundred_stages_with_endless_words_still_fit() {
    let mut board = Board::default();
    for number in 0..150 {
        let long = format!("{number:03}{}", "🦀".repeat(61));
        let link = format!("https://e.org/{number}/{}", "x".repeat(380));
        board.stages.set(key(&long), &"<b>|".repeat(1000));
        board.note(key(&long), &Record::new(StageStatus::Failure, Some(&link), at(number), Some(&"@".repeat(900))));
    }
    let text = picture(&board);
    assert!(text.encode_utf16().count() <= LONGEST_UNITS, "{}", text.encode_utf16().count());
    assert_eq!(text.matches("❌").count(), MOST_STAGES + 1);
    assert!(read_hidden(&name(), &text).unwrap().knows(&Board::named(board.stages.clone(), Vec::new())));
}

#[test]
fn a_time_for_a_record_is_later_than_the_one_before() {
    let mut board = Board::default();
    board.note(key("a"), &record(StageStatus::Running, 100));
    let next = board.time_for(&key("a"), at(50));
    assert!(next > at(100) && next < at(101));
    assert_eq!(board.time_for(&key("b"), at(50)), at(50));
}

fn status() -> impl Strategy<Value = StageStatus> {
    prop::sample::select(StageStatus::ALL.to_vec())
}

fn board() -> impl Strategy<Value = Board> {
    let change = ("[a-d]", status(), 0_i64..4, prop::option::of("https://e.org/[a-b]"));
    prop::collection::vec(change, 0..12).prop_map(|changes| {
        let mut board = Board::default();
        for (name, status, second, link) in changes {
            board.note(key(&name), &Record::new(status, link.as_deref(), at(second), None));
        }
        board
    })
}

proptest! {
    #[test]
    fn no_order_of_merging_matters(a in board(), b in board(), c in board()) {
        let one = a.clone().merged(&b).merged(&c);
        let other = c.clone().merged(&a.clone().merged(&b));
        prop_assert_eq!(one.records(), other.records());
        prop_assert_eq!(one.history().len(), other.history().len());
        prop_assert_eq!(one.clone().merged(&one), one.clone());
        prop_assert!(one.knows(&a) && one.knows(&b) && one.knows(&c));
    }

    #[test]
    fn what_is_hidden_is_found_and_cannot_break_out(
        text in ".{1,40}", title in ".*", by in ".*", status in status(), second in 0_i64..9,
    ) {
        let Ok(stage) = text.parse::<StageKey>() else { return Ok(()); };
        let mut board = Board::default();
        board.stages.set(stage.clone(), &title);
        board.note(stage.clone(), &Record::new(status, Some("https://e.org/x"), at(second), Some(&by)));
        board.append_unnamed();
        let comment = picture(&board);
        prop_assert_eq!(read_hidden(&name(), &comment), Some(board));
        prop_assert!(Marker::of_commit(name(), sha()).is_in(&comment));
        // Ours: marker, two signs of the next step, what is hidden.
        prop_assert_eq!(comment.matches("<!--").count(), 4);
        prop_assert_eq!(comment.matches("-->").count(), 4);
        let rows = comment.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |")).count();
        prop_assert_eq!(rows, 2 + 2 + 2, "{}", comment);
        prop_assert!(!comment.contains('@') || comment.contains("&#64;"));
    }

    #[test]
    fn nothing_that_claims_to_be_hidden_is_believed(text in ".*", bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        use base64::Engine as _;
        let coded = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes);
        for line in [text.clone(), coded] {
            let body = format!("<!-- infra-dashboard-state:1:{line} -->");
            prop_assert!(read_hidden(&name(), &body).is_none_or(|board| board == Board::default()));
        }
    }
}
