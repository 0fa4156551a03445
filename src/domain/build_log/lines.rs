//! Purpose: cuts a step's output into lines.
//!
//! The two streams are cut apart, so that neither ends the other's line. Of a line that is drawn anew with carriage
//! returns (a progress bar) the last drawing counts, as on a terminal.

use super::LogStream;

/// Bytes of one line; a longer one is cut into several.
const LONGEST: usize = 16 * 1024;

/// Lines that wait to be printed, and the beginnings of the next ones.
#[derive(Debug, Default)]
pub(super) struct Lines {
    whole: Vec<String>,
    bytes: usize,
    /// Bytes that came since whoever has the floor spoke last.
    impatience: usize,
    output: Partial,
    error: Partial,
}

#[derive(Debug, Default)]
struct Partial {
    bytes: Vec<u8>,
    /// A carriage return came; what follows overwrites the line, unless it is the end of it.
    returned: bool,
}

impl Lines {
    pub(super) fn add(&mut self, stream: LogStream, data: &[u8]) {
        let partial = match stream {
            LogStream::Output => &mut self.output,
            LogStream::Error => &mut self.error,
        };
        for byte in data {
            match byte {
                b'\n' => push(&mut self.whole, &mut self.bytes, partial),
                b'\r' => partial.returned = true,
                other => {
                    if std::mem::take(&mut partial.returned) {
                        partial.bytes.clear();
                    }
                    partial.bytes.push(*other);
                    if partial.bytes.len() >= LONGEST {
                        push(&mut self.whole, &mut self.bytes, partial);
                    }
                }
            }
        }
        self.impatience += data.len();
    }

    /// Nothing follows: a line without an end is one, too.
    pub(super) fn end(&mut self) {
        for partial in [&mut self.output, &mut self.error] {
            if !partial.bytes.is_empty() {
                push(&mut self.whole, &mut self.bytes, partial);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.whole.is_empty()
    }

    /// Bytes of the whole lines that wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn impatience(&self) -> usize {
        self.impatience
    }

    pub(super) fn forget_patience(&mut self) {
        self.impatience = 0;
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        self.bytes = 0;
        self.impatience = 0;
        std::mem::take(&mut self.whole)
    }
}

fn push(whole: &mut Vec<String>, bytes: &mut usize, partial: &mut Partial) {
    let line = std::mem::take(partial).bytes;
    // An empty line weighs something, too: a flood of them must not pile up.
    *bytes += line.len() + 1;
    whole.push(String::from_utf8_lossy(&line).into_owned());
}
