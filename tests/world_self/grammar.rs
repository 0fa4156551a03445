//! Purpose: the parsers of the runner's grammar, held to what the runner's source does.

use crate::support::runner_grammar::{Log, file_command};

fn entries(text: &str) -> Vec<(String, String)> {
    file_command(text).unwrap()
}

fn pair(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn file_commands_take_both_forms() {
    let text = "a=1=2\n\nb<<X\nline 1\n\nline 3\nX\nc<=<<d\ne<<=\nvalue\n=\n";
    let expected = [pair("a", "1=2"), pair("b", "line 1\n\nline 3"), pair("c<", "<<d"), pair("e", "value")];
    assert_eq!(entries(text), expected);
}

#[test]
fn a_heredoc_keeps_everything_but_its_last_line_end() {
    assert_eq!(entries("a<<X\nX\n"), [pair("a", "")]);
    assert_eq!(entries("a<<X\n\nX\n"), [pair("a", "")]);
    assert_eq!(entries("a<<X\n\n\nX"), [pair("a", "\n")]);
    assert_eq!(entries("a<<X\n\r\nX \nX\n"), [pair("a", "\r\nX ")]);
    assert_eq!(entries("a<<X\r\nb\r\nX\r\n"), [pair("a", "b\r")]);
}

#[test]
fn file_commands_that_fail_the_step() {
    for text in ["a", "=1", "<<X\n1\nX", "a<<\n1\n", "a<<X\n1\n", "a<<X\n1\nX \n"] {
        assert!(file_command(text).is_err(), "{text:?}");
    }
}

#[test]
fn commands_act_and_foreign_text_does_not() {
    let log = Log::read(
        "::group::Build\nplain\n  ::warning title=a%3Ab,FILE=x.rs::50%25%0Adone\r\n::endgroup::\n\
         ::stop-commands::0123456789\n::error::from outside\n##[error]also\n::0123456789::\n::error::ours\n",
    );
    let levels: Vec<_> =
        log.annotations.iter().map(|a| (a.level.as_str(), a.title.as_str(), a.message.as_str())).collect();
    assert_eq!(levels, [("warning", "a:b", "50%\ndone"), ("error", "", "ours")]);
    assert_eq!(log.annotations[0].place["file"], "x.rs");
    assert_eq!(log.groups, ["Build"]);
    assert_eq!(log.foreign, ["::error::from outside", "##[error]also"]);
    assert_eq!((log.open_groups(), log.stopped.is_none()), (0, true));
    assert!(log.masks.contains("0123456789"));
}

#[test]
fn a_command_may_hide_in_a_line_or_behind_a_carriage_return() {
    let log = Log::read("text ##[set-output name=a]b\nharmless\r::error::injected\n");
    assert_eq!(log.improper().len(), 1);
    assert_eq!(log.annotations[0].message, "injected");
}

#[test]
fn masks_hide_each_line_of_what_they_name() {
    let log = Log::read("::add-mask::one%0Atwo\nthis is one, that is two\n::add-mask::\n");
    assert_eq!(log.lines, ["this is ***, that is ***"]);
}

#[test]
fn unknown_commands_are_text() {
    let log = Log::read("::nonsense::x\n:: group ::x\n::resume::\n");
    assert_eq!(log.lines.len(), 3);
    assert!(log.commands.is_empty());
}
