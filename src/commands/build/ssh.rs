//! Purpose: the input `ssh`: agents by their sockets, and private keys for which we are the agent ourselves.

use std::path::PathBuf;

use crate::commands::run::Run;
use crate::contract::values::Lines;
use crate::domain::ssh_key::{PrivateKey, is_key};
use crate::runner::Problems;
use crate::services::buildkit::{SshAgent, SshSource};

/// The largest file that is read as a key; an RSA key of 16,384 bits has 13 KB.
const LARGEST: u64 = 64 * 1024;

/// `default`, `default=/path/of/socket`, `id=/path/of/key,/path/of/another`, `id=$VARIABLE`.
pub(super) fn agents(lines: Option<&Lines>, run: &Run, problems: &mut Problems) -> Vec<SshAgent> {
    let lines = lines.map(|lines| lines.0.as_slice()).unwrap_or_default();
    let mut agents = Vec::new();
    for line in lines {
        let (id, place) = line.split_once('=').unwrap_or((line, "$SSH_AUTH_SOCK"));
        match source(place.trim(), run) {
            Ok(source) => agents.push(SshAgent { id: id.trim().to_owned(), source }),
            // What stands behind the sign may be a key that was put there by mistake: it is not quoted.
            Err(why) => problems.add("ssh", format!("has an entry for '{}', but {why}", id.trim())),
        }
    }
    agents
}

fn source(place: &str, run: &Run) -> Result<SshSource, String> {
    let text = match place.strip_prefix('$') {
        Some(name) => run.variable(name).ok_or_else(|| {
            let hint = if name == "SSH_AUTH_SOCK" { ": no SSH agent runs" } else { "" };
            format!("the variable {name} is not set{hint}")
        })?,
        None => place,
    };
    if is_key(text) {
        return Ok(SshSource::Keys(vec![key(text, run).map_err(|why| format!("its key cannot be used: {why}"))?]));
    }
    let paths: Vec<PathBuf> = text.split(',').map(|path| run.workspace().join(path.trim())).collect();
    if let [socket] = paths.as_slice()
        && std::fs::metadata(socket).is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()))
    {
        return Ok(SshSource::Socket(socket.clone()));
    }
    let keys = paths.iter().map(|path| {
        let shown = path.display();
        let found = std::fs::metadata(path)
            .map_err(|_| format!("there is nothing at {shown}; the action sees the workspace and RUNNER_TEMP only"))?;
        if !found.is_file() || found.len() > LARGEST {
            return Err(format!("{shown} is neither a socket nor a private key"));
        }
        let text = std::fs::read_to_string(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
        key(&text, run).map_err(|why| format!("the key at {shown} cannot be used: {why}"))
    });
    keys.collect::<Result<_, _>>().map(SshSource::Keys)
}

/// Reads a key, which from now on the log hides.
fn key(text: &str, run: &Run) -> Result<PrivateKey, String> {
    run.mask(&text.to_owned().into());
    text.parse::<PrivateKey>().map_err(|error| error.to_string())
}
