//! Purpose: the host that serves archives; GitHub's credentials must never reach it.

use super::archive::tar_gz;
use super::http::{Reply, Request};
use super::state::State;

/// `GET /<owner>/<name>/legacy.tar.gz/<commit>[?token=<ticket>]`.
pub fn handle(state: &mut State, request: &Request) -> Reply {
    if request.header("authorization").is_some() {
        state.violation("codeload was sent the Authorization header");
    }
    let parts = request.segments();
    let [owner, name, form, commit] = parts.as_slice() else {
        return Reply::unknown(request);
    };
    if request.method != "GET" || form != "legacy.tar.gz" {
        return Reply::unknown(request);
    }
    let Some(repository) = state.github.repositories.get(&format!("{owner}/{name}")) else {
        return Reply::bytes(404, "text/plain", "404: Not Found");
    };
    let ticket = request.query("token");
    let admitted = !repository.private || ticket.is_some_and(|t| state.github.tickets.iter().any(|known| known == t));
    let Some(found) = repository.commits.get(commit).filter(|_| admitted) else {
        return Reply::bytes(404, "text/plain", "404: Not Found");
    };
    let short = &commit[..7];
    let archive = tar_gz(&format!("{owner}-{name}-{short}"), commit, &found.files);
    Reply::bytes(200, "application/x-gzip", archive)
        .header("content-disposition", format!("attachment; filename={owner}-{name}-{short}.tar.gz"))
}
