//! Purpose: package versions, listed, deleted and restored against a small server.

use std::sync::Arc;

use super::*;
use crate::services::github::GithubOptions;
use crate::services::testing::{HASTY, Server};

fn client(server: &Server) -> GithubClient {
    let options =
        GithubOptions { api_url: server.address.clone(), token: Some("s3cret".into()), secrets: Arc::new(|_| {}) };
    GithubClient::new(&options).unwrap().with_policy(HASTY)
}

fn organization(name: &str) -> PackagePath {
    PackagePath { owner: PackageOwner::Organization("acme".into()), name: name.into() }
}

fn version(id: u64) -> String {
    let digest = format!("sha256:{}", "ab".repeat(32));
    format!(
        r#"{{"id":{id},"name":"{digest}","url":"u","package_html_url":"h","created_at":"2026-01-02T03:04:05Z",
            "updated_at":"2026-01-02T03:04:05Z","metadata":{{"package_type":"container","container":{{"tags":["v1"]}}}}}}"#
    )
}

#[tokio::test]
async fn the_owner_decides_the_address() {
    let server = Server::start().await;
    let github = client(&server);
    server.answer("/users/acme", 200, r#"{"login":"acme","type":"Organization"}"#);
    assert_eq!(github.package_owner("acme").await.unwrap(), PackageOwner::Organization("acme".into()));
    server.answer("/users/me", 200, r#"{"login":"Me","type":"User"}"#);
    server.answer("/user", 200, r#"{"login":"me","type":"User"}"#);
    assert_eq!(github.package_owner("me").await.unwrap(), PackageOwner::Oneself("Me".into()));
    server.answer("/users/you", 200, r#"{"login":"you","type":"User"}"#);
    assert_eq!(github.package_owner("you").await.unwrap(), PackageOwner::User("you".into()));
    let job = Server::start().await;
    job.answer("/users/you", 200, r#"{"login":"you","type":"User"}"#);
    job.answer("/user", 403, r#"{"message":"Resource not accessible by integration"}"#);
    assert_eq!(client(&job).package_owner("you").await.unwrap(), PackageOwner::User("you".into()));
    for (path, address) in [
        (organization("app/web"), "/orgs/acme/packages/container/app%2Fweb"),
        (PackagePath { owner: PackageOwner::Oneself("me".into()), name: "app".into() }, "/user/packages/container/app"),
        (
            PackagePath { owner: PackageOwner::User("you".into()), name: "app".into() },
            "/users/you/packages/container/app",
        ),
    ] {
        let found = path.route().below(&"https://api.example".parse().unwrap());
        assert_eq!(found.path(), address);
    }
}

#[tokio::test]
async fn versions_are_read_page_by_page_with_numbers_of_64_bits() {
    let server = Server::start().await;
    let first = "/orgs/acme/packages/container/app/versions?state=active&per_page=100";
    let link = format!("<{}/page2>; rel=\"next\"", server.address);
    server.answer_with(first, 200, &[("link", &link)], format!("[{}]", version(5_000_000_000)).as_bytes());
    server.answer("/page2", 200, "[]");
    let mut pages = client(&server).package_versions(&organization("app"), VersionState::Active);
    let page = pages.page().await.unwrap().unwrap();
    assert_eq!((page[0].id, page[0].tags()), (5_000_000_000, &["v1".to_owned()][..]));
    assert!(page[0].digest().is_some());
    assert_eq!(pages.page().await.unwrap(), Some(Vec::new()));
    assert_eq!(pages.page().await.unwrap(), None);
}

#[tokio::test]
async fn a_refused_deletion_says_what_it_means() {
    let server = Server::start().await;
    let github = client(&server);
    let path = organization("app");
    let address = |id: u64| format!("/orgs/acme/packages/container/app/versions/{id}");
    let last = "You cannot delete the last tagged version of a package. You must delete the package instead.";
    let popular = "Publicly visible package versions with more than 5000 downloads cannot be deleted.";
    let body = |words: &str| format!(r#"{{"message":"{words}"}}"#);
    server.answer(&format!("DELETE {}", address(1)), 204, "");
    server.answer(&format!("DELETE {}", address(2)), 400, &body(last));
    server.answer(&format!("DELETE {}", address(3)), 400, &body(popular));
    server.answer(&format!("DELETE {}", address(4)), 404, &body("Not Found"));
    server.answer(&address(4), 404, &body("Not Found"));
    server.answer(&format!("DELETE {}", address(5)), 404, &body("Not Found"));
    server.answer(&address(5), 200, &version(5));
    let expected = [
        VersionDeletion::Done,
        VersionDeletion::LastTagged(last.into()),
        VersionDeletion::TooPopular(popular.into()),
        VersionDeletion::Gone,
        VersionDeletion::NotAdmin,
    ];
    for (id, expected) in (1..).zip(expected) {
        assert_eq!(github.delete_package_version(&path, id).await.unwrap(), expected);
    }
    server.answer(&format!("DELETE {}", address(6)), 403, &body("Resource not accessible by integration"));
    let error = github.delete_package_version(&path, 6).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Forbidden);
    // A page of somebody in between is no answer, neither "gone" nor "no right".
    server.answer(&format!("DELETE {}", address(7)), 404, "<html>");
    assert_eq!(github.delete_package_version(&path, 7).await.unwrap_err().class(), ErrorClass::Unavailable);
}

#[tokio::test]
async fn a_restoration_tells_present_from_lost() {
    let server = Server::start().await;
    let github = client(&server);
    let address = |id: u64| format!("/orgs/acme/packages/container/app/versions/{id}");
    server.answer(&format!("POST {}/restore", address(1)), 204, "");
    server.answer(&format!("POST {}/restore", address(2)), 404, r#"{"message":"Not Found"}"#);
    server.answer(&address(2), 200, &version(2));
    server.answer(&format!("POST {}/restore", address(3)), 404, r#"{"message":"Not Found"}"#);
    server.answer(&address(3), 404, r#"{"message":"Not Found"}"#);
    let expected = [VersionRestoration::Done, VersionRestoration::Present, VersionRestoration::Gone];
    for (id, expected) in (1..).zip(expected) {
        assert_eq!(github.restore_package_version(&organization("app"), id).await.unwrap(), expected);
    }
}
