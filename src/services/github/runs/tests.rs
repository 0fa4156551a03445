//! Purpose: workflow runs against a small server inside of the test.

use std::sync::Arc;

use super::*;
use crate::services::github::{GithubOptions, Visibility};
use crate::services::testing::{HASTY, Server};
use crate::services::{Classified as _, ErrorClass};

fn client(server: &Server) -> GithubClient {
    let options =
        GithubOptions { api_url: server.address.clone(), token: Some("s3cret".into()), secrets: Arc::new(|_| {}) };
    GithubClient::new(&options).unwrap().with_policy(HASTY)
}

fn repository() -> Repository {
    Repository {
        name: "acme/app".parse().unwrap(),
        default_branch: "main".parse().unwrap(),
        visibility: Visibility::Private,
    }
}

fn run_body(id: u64, extra: &str) -> String {
    let sha = "0123456789abcdef0123456789abcdef01234567";
    format!(
        r#"{{"id":{id},"event":"push","status":"completed","conclusion":"success","head_sha":"{sha}",
            "created_at":"2026-01-02T03:04:05Z","updated_at":"2026-01-02T03:05:05Z"{extra}}}"#
    )
}

#[tokio::test]
async fn pages_in_an_object_are_followed_and_their_total_is_known() {
    let server = Server::start().await;
    let first =
        "/repos/acme/app/actions/workflows/a%20b.yml/runs?branch=feature%2F%231&created=%3E%3D2026-01-01&per_page=100";
    let link = format!("<{}/repos/acme/app/actions/workflows/1/runs?page=2>; rel=\"next\"", server.address);
    let body = |id, extra| format!(r#"{{"total_count":2,"workflow_runs":[{}]}}"#, run_body(id, extra));
    let full = r#","head_repository":null,"pull_requests":[{"number":4}],"actor":null,"run_started_at":"2026-01-02T03:04:06Z","run_attempt":2"#;
    server.answer_with(first, 200, &[("link", &link)], body(8, full).as_bytes());
    server.answer("/repos/acme/app/actions/workflows/1/runs?page=2", 200, &body(7, "").replace("success", "novel"));
    let filter = RunFilter {
        workflow: Some("a b.yml".into()),
        branch: Some("feature/#1".into()),
        created: Some(">=2026-01-01".into()),
        ..RunFilter::default()
    };
    let github = client(&server);
    let mut runs = github.workflow_runs(&repository(), &filter);
    assert_eq!(runs.total(), None);
    let newest = runs.next().await.unwrap().unwrap();
    assert_eq!((newest.id, newest.pull_requests, newest.run_attempt), (8, vec![4], 2));
    assert_eq!(newest.head_repository, None);
    assert_eq!(runs.total(), Some(2));
    assert_eq!(runs.next().await.unwrap().unwrap().conclusion, Some(Conclusion::Other));
    assert!(runs.next().await.unwrap().is_none());
}

#[tokio::test]
async fn words_that_github_adds_are_no_error() {
    let server = Server::start().await;
    server.answer("/repos/acme/app/actions/runs/7", 200, &run_body(7, "").replace("completed", "dreaming"));
    let run = client(&server).workflow_run(&repository(), 7).await.unwrap();
    assert_eq!(run.status, RunStatus::Other);
}

#[tokio::test]
async fn a_dispatch_tells_its_run_where_the_server_can() {
    let path = "POST /repos/acme/app/actions/workflows/build.yml/dispatches";
    let start = |server: Server| async move {
        client(&server).dispatch_workflow(&repository(), "build.yml", "main", &BTreeMap::new()).await
    };
    let tells = Server::start().await;
    tells.answer(path, 200, r#"{"workflow_run_id":9,"html_url":"https://x/9"}"#);
    assert_eq!(start(tells).await.unwrap().unwrap().run_id, 9);
    let refuses = Server::start().await;
    let unknown = r#"{"message":"Invalid request.\n\n\"return_run_details\" is not a permitted key."}"#;
    refuses.answer(path, 422, unknown).answer(path, 204, "");
    assert_eq!(start(refuses.clone()).await.unwrap(), None);
    assert_eq!(refuses.asked().len(), 2);
    let wrong = Server::start().await;
    wrong.answer(path, 422, r#"{"message":"No ref found for: main"}"#);
    assert_eq!(start(wrong.clone()).await.unwrap_err().class(), ErrorClass::Invalid);
    assert_eq!(wrong.asked().len(), 1);
    // Whether a gateway's 502 started a run is not known: a second one might start another.
    let doubtful = Server::start().await;
    doubtful.answer(path, 502, "");
    assert_eq!(start(doubtful.clone()).await.unwrap_err().class(), ErrorClass::Unavailable);
    assert_eq!(doubtful.asked().len(), 1);
}

#[tokio::test]
async fn a_run_that_ended_needs_no_cancelling() {
    let server = Server::start().await;
    let path = "POST /repos/acme/app/actions/runs/7/cancel";
    let ended = r#"{"message":"Cannot cancel a workflow run that is completed."}"#;
    server.answer(path, 503, "").answer(path, 409, ended).answer(path, 403, r#"{"message":"no"}"#);
    client(&server).cancel_run(&repository(), 7).await.unwrap();
    let refused = client(&server).cancel_run(&repository(), 7).await.unwrap_err();
    assert_eq!(refused.class(), ErrorClass::Forbidden);
}
