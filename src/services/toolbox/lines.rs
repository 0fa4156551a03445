//! Purpose: cuts what a tool writes into lines, hands them on and keeps the last ones.

use std::collections::VecDeque;

use crate::domain::build_event::LogStream;

/// Bytes of one line; a longer one is cut into several.
const LONGEST: usize = 16 * 1024;
/// Bytes of a line that is kept.
const LONGEST_KEPT: usize = 1024;

/// The lines of one container's two streams.
pub(super) struct Lines {
    limit: usize,
    kept: VecDeque<String>,
    output: Partial,
    error: Partial,
}

#[derive(Default)]
struct Partial {
    bytes: Vec<u8>,
    /// A carriage return came; what follows draws the line anew, unless it is the end of it.
    returned: bool,
}

impl Lines {
    /// Keeps the last `limit` lines.
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, kept: VecDeque::new(), output: Partial::default(), error: Partial::default() }
    }

    /// Takes what one stream wrote, and hands on the lines that are whole by it.
    pub(super) fn add(&mut self, stream: LogStream, data: &[u8], hand_on: &(dyn Fn(LogStream, &str) + Send + Sync)) {
        for byte in data {
            let partial = self.partial(stream);
            match byte {
                b'\n' => self.push(stream, hand_on),
                b'\r' => partial.returned = true,
                other => {
                    if std::mem::take(&mut partial.returned) {
                        partial.bytes.clear();
                    }
                    partial.bytes.push(*other);
                    if partial.bytes.len() >= LONGEST {
                        self.push(stream, hand_on);
                    }
                }
            }
        }
    }

    /// Nothing follows: a line without an end is one, too.
    pub(super) fn end(&mut self, hand_on: &(dyn Fn(LogStream, &str) + Send + Sync)) {
        for stream in [LogStream::Output, LogStream::Error] {
            if !self.partial(stream).bytes.is_empty() {
                self.push(stream, hand_on);
            }
        }
    }

    /// The last lines, the oldest first.
    pub(super) fn kept(&self) -> Vec<String> {
        self.kept.iter().cloned().collect()
    }

    fn partial(&mut self, stream: LogStream) -> &mut Partial {
        match stream {
            LogStream::Output => &mut self.output,
            LogStream::Error => &mut self.error,
        }
    }

    fn push(&mut self, stream: LogStream, hand_on: &(dyn Fn(LogStream, &str) + Send + Sync)) {
        let bytes = std::mem::take(self.partial(stream)).bytes;
        let line = String::from_utf8_lossy(&bytes);
        hand_on(stream, &line);
        if self.kept.len() == self.limit {
            self.kept.pop_front();
        }
        let cut = line.floor_char_boundary(LONGEST_KEPT.min(line.len()));
        self.kept.push_back(line[..cut].to_owned());
    }
}
