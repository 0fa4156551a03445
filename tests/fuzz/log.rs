//! Foreign text in the log: whatever a build, a task or a tool prints, the runner must not take it for a command.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use landfall::runner::{Annotation, Level, Log, Masks, Random};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Of what the runner obeys, only our own commands are left.
pub(crate) fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let buffer = Buffer::default();
    let log = Log::new(Box::new(buffer.clone()), true, Level::Debug, Random::System, Masks::default());
    for (at, piece) in text.split('\u{1}').enumerate() {
        match at % 6 {
            0 => log.foreign(piece),
            1 => log.info(piece),
            2 => log.warning(&Annotation::new(piece, piece)),
            3 => log.debug(piece),
            4 => drop(log.group(piece)),
            _ => log.error(&Annotation::new("title", piece)),
        }
    }
    drop(log);
    let written = buffer.0.lock().unwrap().clone();
    let mut stopped: Option<String> = None;
    for line in String::from_utf8(written).unwrap().lines() {
        let command = line.trim_start().strip_prefix("::");
        match (&stopped, command) {
            (Some(token), Some(rest)) if rest == format!("{token}::") => stopped = None,
            (Some(_), _) => {}
            (None, Some(rest)) => {
                let name = rest.split([' ', ':']).next().unwrap_or_default();
                if name == "stop-commands" {
                    stopped = rest.split_once("::").map(|(_, token)| token.to_owned());
                } else {
                    assert!(["warning", "error", "debug", "group", "endgroup"].contains(&name), "{line}");
                }
            }
            (None, None) => assert!(!line.contains("##["), "{line}"),
        }
    }
    assert!(stopped.is_none(), "commands are left stopped");
}
