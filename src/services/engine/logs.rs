//! Purpose: what a container wrote.

use std::collections::VecDeque;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptions;
use futures_util::StreamExt as _;

use super::answer::failed;
use super::{Engine, EngineError};
use crate::domain::build_event::LogStream;

/// The most of one line that is kept, in bytes.
const LONGEST_LINE: usize = 8 * 1024;

/// One line that a container wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Where it wrote it.
    pub stream: LogStream,
    /// The line without its end; what is not UTF-8 is replaced.
    pub text: String,
}

impl Engine {
    /// Hands over what a container writes, from its start on, until it ends.
    ///
    /// # Errors
    /// [`EngineError::NotFound`], [`EngineError::Failed`] (a log driver that cannot be read).
    pub async fn follow_logs(&self, id: &str, output: impl Fn(LogStream, &[u8]) + Send) -> Result<(), EngineError> {
        self.read_logs(id, true, "all", output).await
    }

    /// The last lines that a container wrote, oldest first; at most `lines`, whatever their length at most a few
    /// kilobytes each.
    ///
    /// # Errors
    /// Those of [`Self::follow_logs`].
    pub async fn last_logs(&self, id: &str, lines: usize) -> Result<Vec<LogLine>, EngineError> {
        let tail = std::sync::Mutex::new(Tail::new(lines));
        let note = |stream, data: &[u8]| {
            if let Ok(mut tail) = tail.lock() {
                tail.write(stream, data);
            }
        };
        self.read_logs(id, false, &lines.to_string(), note).await?;
        Ok(tail.into_inner().map(Tail::finish).unwrap_or_default())
    }

    async fn read_logs(
        &self,
        id: &str,
        follow: bool,
        tail: &str,
        output: impl Fn(LogStream, &[u8]) + Send,
    ) -> Result<(), EngineError> {
        let options =
            LogsOptions { follow, stdout: true, stderr: true, tail: tail.to_owned(), ..LogsOptions::default() };
        let mut written = std::pin::pin!(self.docker.logs(id, Some(options)));
        while let Some(piece) = written.next().await {
            let action = || format!("reading the log of the container {id}");
            match piece.map_err(|error| failed(action(), &format!("container {id}"), error))? {
                LogOutput::StdErr { message } => output(LogStream::Error, &message),
                LogOutput::StdOut { message } | LogOutput::Console { message } => output(LogStream::Output, &message),
                LogOutput::StdIn { .. } => {}
            }
        }
        Ok(())
    }
}

/// The last lines of two interleaved streams in bounded memory.
#[derive(Debug)]
struct Tail {
    limit: usize,
    lines: VecDeque<LogLine>,
    open: [Vec<u8>; 2],
}

impl Tail {
    fn new(limit: usize) -> Self {
        Self { limit, lines: VecDeque::new(), open: [Vec::new(), Vec::new()] }
    }

    fn write(&mut self, stream: LogStream, data: &[u8]) {
        let mut parts = data.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            let open = &mut self.open[usize::from(stream == LogStream::Error)];
            let room = LONGEST_LINE.saturating_sub(open.len());
            open.extend_from_slice(&part[..part.len().min(room)]);
            if parts.peek().is_some() {
                self.end_line(stream);
            }
        }
    }

    fn end_line(&mut self, stream: LogStream) {
        let open = &mut self.open[usize::from(stream == LogStream::Error)];
        let line = std::mem::take(open);
        let text = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
        self.lines.push_back(LogLine { stream, text });
        while self.lines.len() > self.limit {
            self.lines.pop_front();
        }
    }

    fn finish(mut self) -> Vec<LogLine> {
        for stream in [LogStream::Output, LogStream::Error] {
            if !self.open[usize::from(stream == LogStream::Error)].is_empty() {
                self.end_line(stream);
            }
        }
        self.lines.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines_of_both_streams() {
        let mut tail = Tail::new(3);
        tail.write(LogStream::Output, b"one\ntw");
        tail.write(LogStream::Error, b"oops\n");
        tail.write(LogStream::Output, b"o\r\nthree");
        let lines: Vec<String> = tail.finish().into_iter().map(|line| line.text).collect();
        assert_eq!(lines, ["oops", "two", "three"]);
    }

    #[test]
    fn an_endless_line_is_cut() {
        let mut tail = Tail::new(2);
        for _ in 0..100 {
            tail.write(LogStream::Output, &[b'x'; 1024]);
        }
        assert_eq!(tail.finish()[0].text.len(), LONGEST_LINE);
    }
}
