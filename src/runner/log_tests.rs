//! Purpose: the log against a model of how the runner reads it.

use std::io::Write;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

fn runner_log() -> (Buffer, Log) {
    let buffer = Buffer::default();
    let log = Log::new(Box::new(buffer.clone()), true, Level::Info, Random::Counter(Arc::default()), Masks::default());
    (buffer, log)
}

/// The commands that the runner would obey, as `name properties → data`, by the description of `ActionCommandManager`:
/// lines are trimmed at the start, the legacy form is found anywhere, nothing but the token counts while stopped.
fn obeyed(text: &str) -> Vec<(String, String)> {
    let mut stopped: Option<String> = None;
    let mut commands = Vec::new();
    for line in text.split(['\n', '\r']) {
        let Some((head, data)) = parsed(line) else {
            continue;
        };
        let name = head.split(' ').next().unwrap_or_default().to_lowercase();
        match &stopped {
            Some(token) if name == *token => stopped = None,
            Some(_) => {}
            None if name == "stop-commands" => stopped = Some(data),
            None => commands.push((head, data)),
        }
    }
    assert!(stopped.is_none(), "commands stay stopped at the end");
    commands
}

fn parsed(line: &str) -> Option<(String, String)> {
    let trimmed = line.trim_start();
    if let Some((head, data)) = trimmed.strip_prefix("::").and_then(|rest| rest.split_once("::")) {
        return Some((head.to_owned(), data.to_owned()));
    }
    let (_, rest) = line.split_once("##[")?;
    rest.split_once(']').map(|(head, data)| (head.to_owned(), data.to_owned()))
}

/// Texts that look for trouble.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("::".to_owned()),
        Just("##[".to_owned()),
        Just("set-output name=x::y".to_owned()),
        Just("stop-commands::".to_owned()),
        // A guess at the token that resumes commands; the true one is 128 random bits.
        Just("::ffffffffffffffffffffffffffffffff::".to_owned()),
        Just("\n".to_owned()),
        Just("\r".to_owned()),
        Just(" ".to_owned()),
        Just("]".to_owned()),
        Just("%0A".to_owned()),
        Just("\u{1b}[31m".to_owned()),
        any::<String>(),
    ];
    proptest::collection::vec(piece, 0..8).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_text_becomes_a_command(title in hostile(), message in hostile(), own in hostile(), foreign in hostile()) {
        let (buffer, log) = runner_log();
        log.foreign(&foreign);
        log.info(&own);
        let group = log.group(&title);
        log.foreign(&foreign);
        drop(group);
        log.error(&Annotation { title: title.clone(), message: message.clone(), location: Some((own.clone(), 3)) });
        log.info(&own);
        drop(log);
        let commands = obeyed(&buffer.text());
        let names: Vec<&str> = commands.iter().map(|(head, _)| head.split(' ').next().unwrap()).collect();
        prop_assert_eq!(names, ["group", "endgroup", "error"]);
        let keys: Vec<&str> = commands[2].0.split_once(' ').map(|(_, properties)| properties).unwrap_or_default()
            .split(',').filter_map(|pair| pair.split_once('=')).map(|(key, _)| key).collect();
        prop_assert!(keys.iter().all(|key| ["file", "line", "title"].contains(key)), "{keys:?}");
    }

    #[test]
    fn annotations_say_what_was_meant(message in ".{0,300}") {
        let (buffer, log) = runner_log();
        log.warn("t", &message);
        let commands = obeyed(&buffer.text());
        let said = commands[0].1.replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%");
        prop_assert_eq!(said, message);
    }
}

#[test]
fn foreign_text_stays_guarded_until_the_next_command_of_ours() {
    let (buffer, log) = runner_log();
    log.foreign("one\n::error::two");
    log.info("three");
    log.notice(&Annotation::new("a", "b"));
    let token = "0".repeat(32);
    assert_eq!(
        buffer.text(),
        format!("::stop-commands::{token}\none\n::error::two\nthree\n::{token}::\n::notice title=a::b\n")
    );
}

#[test]
fn secrets_are_masked_before_and_hidden_after() {
    let (buffer, log) = runner_log();
    log.mask("hunter2\nsecond");
    log.info("it is hunter2");
    log.foreign("second");
    log.error(&Annotation::new("hunter2", "hunter2"));
    drop(log);
    let text = buffer.text();
    assert!(text.starts_with("::add-mask::hunter2\n::add-mask::second\nit is ***\n"), "{text}");
    assert_eq!(text.matches("hunter2").count(), 1);
    assert!(text.contains("::error title=***::***"));
}

#[test]
fn a_secret_is_hidden_before_it_is_escaped_or_cut() {
    let (buffer, log) = runner_log();
    log.mask("100%,hunter:2");
    log.error(&Annotation::new("is 100%,hunter:2", "it is 100%,hunter:2"));
    log.error(&Annotation::new("", "x".repeat(ANNOTATION_LIMIT - 6) + "100%,hunter:2"));
    drop(log);
    let text = buffer.text();
    let (mask, rest) = text.split_once('\n').unwrap();
    assert_eq!(mask, "::add-mask::100%25,hunter:2");
    assert!(!rest.contains("100%") && !rest.contains("hunter"), "{rest}");
}

#[test]
fn control_sequences_other_than_colours_go() {
    assert_eq!(without_controls("a\u{1b}[31mred\u{1b}[0m\u{1b}[2Jb\u{8}\rc\r\nd\n"), "a\u{1b}[31mred\u{1b}[0mb\nc\nd");
}

#[test]
fn a_terminal_gets_plain_text() {
    let buffer = Buffer::default();
    let log = Log::new(Box::new(buffer.clone()), false, Level::Info, Random::Counter(Arc::default()), Masks::default());
    drop(log.group("Build"));
    log.foreign("::error::x");
    log.warn("Title", "text");
    log.mask("secret");
    assert_eq!(buffer.text(), "▸ Build\n::error::x\nwarning: Title: text\n");
}
