//! Purpose: from the builder's error to ours: which vertex, which line, whose fault.

use bollard_buildkit_proto::google;
use prost::Message as _;
use serde::Deserialize;
use tonic::{Code, Status};

use super::progress::Progress;
use super::{BuildError, FailedVertex, Transport};
use crate::domain::build_event::SourceLocation;
use crate::domain::dockerfile;
use crate::services::ErrorClass;

/// A place in a file, as BuildKit's errors hold it (`solver/errdefs/errdefs.proto`, in JSON).
#[derive(Deserialize)]
struct Source {
    info: Option<Info>,
    #[serde(default)]
    ranges: Vec<Range>,
}

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    filename: String,
}

#[derive(Deserialize)]
struct Range {
    start: Option<Position>,
    end: Option<Position>,
}

#[derive(Deserialize, Clone, Copy, Default)]
struct Position {
    #[serde(default)]
    line: i32,
}

#[derive(Deserialize)]
struct Vertex {
    #[serde(default)]
    digest: String,
}

/// What the details of a status say.
#[derive(Default)]
struct Details {
    location: Option<SourceLocation>,
    vertex: Option<String>,
}

/// The error of a `Solve` that failed.
///
/// `dockerfile` is its text, in which builders that name no line (20.10's) leave us to look.
pub(super) fn of_solve(
    status: &Status,
    progress: &mut Progress,
    transport: &Transport,
    dockerfile: &str,
) -> BuildError {
    if let Some(error) = lost(status, transport) {
        return error;
    }
    let details = details(status, progress);
    let message = message(status.message());
    let vertex = progress.failed(details.vertex.as_deref(), &message);
    let class = class(status, vertex.as_ref(), &message);
    let location = details.location.or_else(|| {
        let lines = match &vertex {
            Some(vertex) => dockerfile::locate(dockerfile, &vertex.name),
            None => dockerfile::line_in(&message).map(|line| (line, line)),
        };
        lines.map(|lines| progress.in_dockerfile(lines))
    });
    BuildError::Failed { vertex: vertex.map(Box::new), message, location, class }
}

/// The error of any other call.
pub(super) fn of_call(status: Status, transport: &Transport, what: &'static str) -> BuildError {
    BuildError::Unreachable { endpoint: transport.place(), what, source: Box::new(status) }
}

/// The connection broke: there is a transport error behind the status, no answer of the builder.
fn lost(status: &Status, transport: &Transport) -> Option<BuildError> {
    std::error::Error::source(status)?;
    Some(of_call(status.clone(), transport, "went away during the build"))
}

fn details(status: &Status, progress: &Progress) -> Details {
    let mut found = Details::default();
    let Ok(full) = google::rpc::Status::decode(status.details()) else {
        return found;
    };
    for detail in full.details {
        let kind = detail.type_url.rsplit('/').next().unwrap_or_default().trim_end_matches("+json").to_owned();
        match kind.as_str() {
            "errdefs.Source" | "errdefs.source" => {
                if let Ok(source) = serde_json::from_slice::<Source>(&detail.value) {
                    let line = |position: Option<Position>| position.unwrap_or_default().line;
                    let lines: Vec<_> =
                        source.ranges.iter().map(|range| (line(range.start), line(range.end))).collect();
                    let file = source.info.map(|info| info.filename).unwrap_or_default();
                    found.location = progress.location(file, &lines).or(found.location);
                }
            }
            "errdefs.Vertex" | "errdefs.vertex" => {
                found.vertex = serde_json::from_slice::<Vertex>(&detail.value).ok().map(|vertex| vertex.digest);
            }
            _ => {}
        }
    }
    found
}

/// Whose fault it was. A registry counts only where a registry was asked, never in what a command wrote.
fn class(status: &Status, vertex: Option<&FailedVertex>, message: &str) -> ErrorClass {
    let at_registry = vertex.is_some_and(|vertex| {
        vertex.exit_code.is_none()
            && [
                "load metadata for ",
                "load remote build context",
                "FROM ",
                "docker-image://",
                "exporting to",
                "importing cache",
                "exporting cache",
                "auth]",
            ]
            .iter()
            .any(|mark| vertex.name.contains(mark))
    });
    if at_registry {
        return crate::services::engine::class_of_words(message).unwrap_or(ErrorClass::Failed);
    }
    match status.code() {
        Code::Unavailable if vertex.is_none() => ErrorClass::Unavailable,
        _ => ErrorClass::Failed,
    }
}

/// The builder's words on one line, without what it says of its own workings.
fn message(words: &str) -> String {
    const WORKINGS: [&str; 3] =
        ["failed to solve with frontend dockerfile.v0: ", "failed to solve: ", "failed to create LLB definition: "];
    let words = WORKINGS.iter().fold(words, |words, prefix| words.strip_prefix(prefix).unwrap_or(words));
    words.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use bollard_buildkit_proto::google::protobuf::Any;

    use super::*;
    use crate::services::Classified as _;

    fn failed(code: Code, message: &str, details: &[(&str, &str)], dockerfile: &str) -> BuildError {
        let detail = |(kind, json): &(&str, &str)| Any {
            type_url: format!("github.com/moby/buildkit/{kind}+json"),
            value: json.as_bytes().to_vec(),
        };
        let full =
            google::rpc::Status { details: details.iter().map(detail).collect(), ..google::rpc::Status::default() };
        let status = Status::with_details(code, message, full.encode_to_vec().into());
        let transport = Transport::BuildKit("unix:///x".parse().unwrap(), None);
        of_solve(&status, &mut Progress::new("sub/Dockerfile".into()), &transport, dockerfile)
    }

    #[test]
    fn the_line_comes_from_the_details() {
        let source = r#"{"info":{"filename":"Dockerfile","data":"Rk9P","language":"Dockerfile"},"ranges":[{"start":{"line":4},"end":{"line":6}}]}"#;
        let error =
            failed(Code::Unknown, "failed to solve: no", &[("stack.Stack", "{"), ("errdefs.Source", source)], "");
        let location = error.location().unwrap();
        assert_eq!((location.file.as_str(), location.first_line, location.last_line), ("sub/Dockerfile", 4, 6));
        assert_eq!(error.to_string(), "no");
        assert_eq!(error.class(), ErrorClass::Failed);
    }

    #[test]
    fn an_old_builders_words_are_searched_for_the_line() {
        let words = "failed to solve with frontend dockerfile.v0: failed to create LLB definition: dockerfile parse error line 2: unknown instruction: RUNN";
        let error = failed(Code::Unknown, words, &[], "FROM x\nRUNN\n");
        assert_eq!(error.location().unwrap().first_line, 2);
        assert_eq!(error.to_string(), "dockerfile parse error line 2: unknown instruction: RUNN");
    }

    #[test]
    fn details_that_make_no_sense_are_left_out() {
        let error = failed(Code::Unknown, "no", &[("errdefs.Source", "[]"), ("errdefs.Vertex", "{}")], "");
        assert_eq!(error.location(), None);
    }
}
