//! Purpose: comments, reactions and statuses against a small server: whose they are, and what a lost answer does.

use std::sync::Arc;

use super::super::{Earlier, GithubOptions, NewStatus, StatusState};
use super::*;
use crate::domain::comment::Reaction;
use crate::services::testing::{HASTY, Server};

const LIST: &str = "GET /repos/acme/app/issues/7/comments?per_page=100";
const CREATE: &str = "POST /repos/acme/app/issues/7/comments";
const BODY: &str = "<!-- landfall-report:k -->\nnew";

fn client(server: &Server, token: &str) -> GithubClient {
    let options =
        GithubOptions { api_url: server.address.clone(), token: Some(token.into()), secrets: Arc::new(|_| {}) };
    GithubClient::new(&options).unwrap().with_policy(HASTY)
}

fn thread() -> Thread {
    Thread { repository: "acme/app".parse().unwrap(), number: 7 }
}

fn marker() -> Marker {
    Marker::of_key("landfall-report".parse().unwrap(), "k")
}

fn me() -> Identity {
    Identity::new("github-actions[bot]")
}

fn comment(id: u64, login: &str, body: &str) -> String {
    let kind = if login.ends_with("[bot]") { "Bot" } else { "User" };
    json!({ "id": id, "body": body, "html_url": format!("https://github.com/c/{id}"), "created_at": "2026-01-01T00:00:00Z",
        "user": { "login": login, "type": kind } })
    .to_string()
}

fn ours(id: u64, body: &str) -> String {
    comment(id, "github-actions[bot]", body)
}

fn list(comments: &[String]) -> String {
    format!("[{}]", comments.join(","))
}

#[tokio::test]
async fn only_our_own_comments_with_the_marker_count() {
    let server = Server::start().await;
    let foreign = [
        comment(1, "mallory", BODY),
        comment(2, "other-app[bot]", BODY),
        ours(3, &format!("> {BODY}")),
        r#"{"id":4,"body":null,"user":null,"created_at":"2026-01-01T00:00:00Z"}"#.to_owned(),
        ours(9, "<!-- landfall-report:k -->\r\nold"),
        ours(6, "<!-- landfall-report:k -->"),
    ];
    server.answer(LIST, 200, &list(&foreign));
    let own = client(&server, "ghs_x").own_comments(&thread(), &me(), &marker()).await.unwrap();
    assert_eq!(own.iter().map(|comment| comment.id).collect::<Vec<_>>(), [6, 9]);
}

#[tokio::test]
async fn publishing_updates_the_oldest_and_deletes_the_others() {
    let server = Server::start().await;
    server.answer(LIST, 200, &list(&[ours(6, "<!-- landfall-report:k -->\nold"), ours(9, BODY)]));
    server.answer("PATCH /repos/acme/app/issues/comments/6", 200, &ours(6, BODY));
    server.answer("DELETE /repos/acme/app/issues/comments/9", 204, "");
    let published = client(&server, "ghs_x").publish_comment(&thread(), &me(), &marker(), BODY).await.unwrap();
    assert_eq!((published.comment.id, published.change, published.merged), (6, Change::Updated, 1));
}

#[tokio::test]
async fn a_comment_that_is_as_it_should_be_is_left_alone() {
    let server = Server::start().await;
    server.answer(LIST, 200, &list(&[ours(6, BODY)]));
    let published = client(&server, "ghs_x").publish_comment(&thread(), &me(), &marker(), BODY).await.unwrap();
    assert_eq!((published.change, server.asked().len()), (Change::Unchanged, 1));
}

#[tokio::test]
async fn the_loser_of_a_race_to_create_takes_itself_back() {
    let server = Server::start().await;
    server.answer(LIST, 200, "[]");
    server.answer(LIST, 200, &list(&[ours(6, "<!-- landfall-report:k -->\ntheirs"), ours(9, BODY)]));
    server.answer(CREATE, 201, &ours(9, BODY));
    server.answer("PATCH /repos/acme/app/issues/comments/6", 200, &ours(6, BODY));
    server.answer("DELETE /repos/acme/app/issues/comments/9", 204, "");
    let published = client(&server, "ghs_x").publish_comment(&thread(), &me(), &marker(), BODY).await.unwrap();
    assert_eq!((published.comment.id, published.change, published.merged), (6, Change::Updated, 1));
}

#[tokio::test]
async fn a_comment_whose_answer_was_lost_is_looked_for() {
    let server = Server::start().await;
    server.answer(LIST, 200, &list(&[ours(9, BODY)]));
    server.answer(CREATE, 502, "");
    let github = client(&server, "ghs_x");
    let created = github.create_own_comment(&thread(), &me(), &marker(), BODY).await.unwrap();
    assert_eq!(created.id, 9);
    let creations = server.asked().iter().filter(|path| !path.contains("per_page")).count();
    assert_eq!(creations, 1, "{:?}", server.asked());
}

#[tokio::test]
async fn a_token_that_may_only_read_is_told_from_other_refusals() {
    let server = Server::start().await;
    server.answer(CREATE, 403, r#"{"message":"Resource not accessible by integration"}"#);
    server.answer(CREATE, 403, r#"{"message":"Resource not accessible by personal access token"}"#);
    server.answer(CREATE, 403, r#"{"message":"This conversation is locked"}"#);
    let github = client(&server, "ghs_x");
    let mut lacks = Vec::new();
    for _ in 0..3 {
        lacks.push(github.create_comment(&thread(), BODY).await.unwrap_err().lacks_permission());
    }
    assert_eq!(lacks, [true, true, false]);
}

#[tokio::test]
async fn a_comment_that_is_gone_is_no_failure() {
    let server = Server::start().await;
    let github = client(&server, "ghs_x");
    let repository = thread().repository;
    assert_eq!(github.comment(&repository, 5).await.unwrap(), None);
    assert_eq!(github.update_comment(&repository, 5, BODY).await.unwrap(), None);
    github.delete_comment(&repository, 5).await.unwrap();
    server.answer("DELETE /repos/acme/app/issues/comments/5", 404, "<html>a proxy</html>");
    github.delete_comment(&repository, 5).await.unwrap_err();
}

#[tokio::test]
async fn a_reaction_says_whether_it_was_there() {
    let server = Server::start().await;
    let path = "POST /repos/acme/app/issues/comments/5/reactions";
    let github = client(&server, "ghs_x");
    let repository = thread().repository;
    for (answers, expected) in
        [(&[201][..], Earlier::No), (&[200][..], Earlier::Yes), (&[502, 200][..], Earlier::Unknown)]
    {
        for status in answers {
            server.answer(path, *status, r#"{"id":3}"#);
        }
        let reacted = github.react(&repository, 5, Reaction::Eyes).await.unwrap();
        assert_eq!((reacted.id, reacted.earlier), (3, expected));
        server.forget(path);
    }
}

#[tokio::test]
async fn a_status_whose_answer_was_lost_is_looked_for() {
    let server = Server::start().await;
    let sha = "0123456789abcdef0123456789abcdef01234567";
    let listed = json!([{ "id": 3, "state": "success", "context": "d/plan", "description": "Success", "target_url": null,
        "created_at": "2026-01-01T00:00:00Z", "creator": null }]);
    server.answer(&format!("POST /repos/acme/app/statuses/{sha}"), 502, "");
    server.answer(&format!("/repos/acme/app/commits/{sha}/statuses?per_page=100"), 200, &listed.to_string());
    let status = NewStatus {
        state: StatusState::Success,
        context: "d/plan".to_owned(),
        description: "Success".to_owned(),
        target_url: None,
    };
    let made = client(&server, "ghs_x").create_status(&thread().repository, &sha.parse().unwrap(), &status).await;
    assert_eq!(made.unwrap().id, 3);
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn every_kind_of_token_is_known_by_its_account() {
    let server = Server::start().await;
    server.answer("/user", 200, r#"{"login":"octocat","type":"User"}"#);
    assert_eq!(client(&server, "ghp_x").identity().await.unwrap().login(), "octocat");
    server.answer("/graphql", 200, r#"{"data":{"viewer":{"login":"infra-flash"}}}"#);
    assert_eq!(client(&server, "ghs_x").identity().await.unwrap().login(), "infra-flash[bot]");
    server.forget("/graphql");
    server.answer("/graphql", 403, r#"{"message":"Resource not accessible by integration"}"#);
    assert_eq!(client(&server, "ghs_x").identity().await.unwrap().login(), "github-actions[bot]");
    server.forget("/graphql");
    server.answer("/graphql", 401, r#"{"message":"Bad credentials"}"#);
    let error = client(&server, "ghs_x").identity().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unauthenticated);
}
