//! Purpose: the GitHub client against a small server inside of the test.

use std::sync::Arc;
use std::time::Duration;

use async_compression::tokio::write::GzipEncoder;
use http::header;
use tokio::io::AsyncWriteExt as _;

use super::*;
use crate::services::testing::{HASTY, Server};
use crate::services::{Classified as _, ErrorClass};

fn client(server: &Server, prefix: &str) -> GithubClient {
    let options = GithubOptions {
        api_url: format!("{}{prefix}", server.address),
        token: Some("s3cret".into()),
        secrets: Arc::new(|_| {}),
    };
    GithubClient::new(&options).unwrap().with_policy(HASTY)
}

const REPOSITORY: &str = r#"{"full_name":"acme/app","default_branch":"main","private":true,"visibility":"internal"}"#;
const SHA: &str = "0123456789abcdef0123456789abcdef01234567";

fn repository() -> Repository {
    Repository {
        name: "acme/app".parse().unwrap(),
        default_branch: "main".parse().unwrap(),
        visibility: Visibility::Private,
    }
}

fn reference(name: &str) -> String {
    format!(r#"{{"ref":"refs/heads/{name}","object":{{"sha":"{SHA}"}}}}"#)
}

#[tokio::test]
async fn asks_below_a_path_prefix_with_one_agent_and_the_token() {
    let server = Server::start().await;
    server.answer("/api/v3/repos/acme/app", 200, REPOSITORY);
    let found = client(&server, "/api/v3/").repository(&"acme/app".parse().unwrap()).await.unwrap();
    assert_eq!((found.default_branch.as_str(), found.visibility), ("main", Visibility::Internal));
    let seen = server.seen();
    let headers = &seen[0].1;
    assert_eq!(headers[header::AUTHORIZATION], "Bearer s3cret");
    let agents: Vec<_> = headers.get_all(USER_AGENT).iter().collect();
    assert_eq!(agents, [policy::USER_AGENT]);
    assert_eq!(headers["x-github-api-version"], "2022-11-28");
}

#[tokio::test]
async fn a_branch_is_asked_for_by_its_exact_name() {
    let server = Server::start().await;
    let github = client(&server, "");
    server.answer("/repos/acme/app/git/ref/heads/fix/%23123%25", 200, &reference("fix/#123%"));
    let head = github.branch_head(&repository(), &"fix/#123%".parse().unwrap()).await.unwrap();
    assert_eq!(head.unwrap().as_str(), SHA);
    // What an answer about another branch would be taken for if nobody compared.
    server.answer("/repos/acme/app/git/ref/heads/Main", 200, &reference("main"));
    let error = github.branch_head(&repository(), &"Main".parse().unwrap()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
}

#[tokio::test]
async fn only_githubs_own_word_makes_a_branch_absent() {
    let server = Server::start().await;
    let github = client(&server, "");
    let path = |name: &str| format!("/repos/acme/app/git/ref/heads/{name}");
    server.answer(&path("gone"), 404, r#"{"message":"Not Found"}"#);
    server.answer(&path("empty"), 409, r#"{"message":"Git Repository is empty."}"#);
    for name in ["gone", "empty"] {
        assert_eq!(github.branch_head(&repository(), &name.parse().unwrap()).await.unwrap(), None, "{name}");
    }
    let refused = [
        (404, "<html>no such page</html>", ErrorClass::Unavailable),
        (409, r#"{"message":"Conflict"}"#, ErrorClass::Invalid),
        (401, r#"{"message":"Bad credentials"}"#, ErrorClass::Unauthenticated),
        (403, r#"{"message":"Resource not accessible by integration"}"#, ErrorClass::Forbidden),
        (500, "", ErrorClass::Unavailable),
        (200, "{}", ErrorClass::Unavailable),
        (200, "", ErrorClass::Unavailable),
    ];
    for (number, (status, body, class)) in refused.into_iter().enumerate() {
        server.answer(&path(&format!("b{number}")), status, body);
        let error = github.branch_head(&repository(), &format!("b{number}").parse().unwrap()).await.unwrap_err();
        assert_eq!(error.class(), class, "{status} {body}");
    }
}

#[tokio::test]
async fn a_burst_of_failures_is_waited_out_and_a_denial_is_not_repeated() {
    let server = Server::start().await;
    let github = client(&server, "");
    let path = "/repos/acme/app/git/ref/heads/main";
    let limited: &[(&'static str, &str)] = &[("retry-after", "0"), ("x-ratelimit-remaining", "0")];
    server.answer(path, 503, "").answer(path, 502, "").answer_with(path, 429, limited, b"{}").answer(
        path,
        200,
        &reference("main"),
    );
    assert!(github.branch_head(&repository(), &"main".parse().unwrap()).await.unwrap().is_some());
    assert_eq!(server.asked().len(), 4);
    server.answer("/repos/acme/app", 403, r#"{"message":"no"}"#);
    github.repository(&"acme/app".parse().unwrap()).await.unwrap_err();
    assert_eq!(server.asked().len(), 5);
}

#[tokio::test]
async fn silence_ends_in_a_timeout() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = GithubOptions {
        api_url: format!("http://{}", listener.local_addr().unwrap()),
        token: None,
        secrets: Arc::new(|_| {}),
    };
    let once = RetryPolicy { attempts: 1, ..RetryPolicy::default() };
    let github = GithubClient::new(&options).unwrap().with_policy(once);
    let github = GithubClient { timeout: Duration::from_millis(50), ..github };
    let error = github.repository(&"acme/app".parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, GithubError::TimedOut { .. }), "{error:?}");
    assert_eq!(error.class(), ErrorClass::Unavailable);
    drop(listener);
}

#[tokio::test]
async fn a_renamed_repository_is_followed_and_a_foreign_address_is_not() {
    let (server, other) = (Server::start().await, Server::start().await);
    let github = client(&server, "");
    server.answer_with("/repos/old/app", 301, &[("location", "/repositories/7")], b"{}");
    server.answer("/repositories/7", 200, REPOSITORY);
    assert_eq!(github.repository(&"old/app".parse().unwrap()).await.unwrap().name.as_str(), "acme/app");
    let elsewhere = format!("{}/repos/acme/app", other.address);
    other.answer("/repos/acme/app", 200, REPOSITORY);
    server.answer_with("/repos/moved/app", 302, &[("location", &elsewhere)], b"");
    github.repository(&"moved/app".parse().unwrap()).await.unwrap_err();
    assert_eq!(other.asked(), Vec::<String>::new());
}

#[tokio::test]
async fn reads_commits_people_and_pull_requests() {
    let server = Server::start().await;
    let github = client(&server, "");
    server.answer(
        "/repos/acme/app/commits/v1.0?per_page=1",
        200,
        &format!(r#"{{"sha":"{SHA}","commit":{{"message":"Fix it\n\nbecause","committer":{{"date":"2026-01-02T03:04:05Z"}}}}}}"#),
    );
    let commit = github.commit(&repository(), "v1.0").await.unwrap();
    assert_eq!((commit.subject.as_str(), commit.committed_at.to_string()), ("Fix it", "2026-01-02T03:04:05Z".into()));
    server.answer(
        "/repos/acme/app/collaborators/me%2F../permission",
        200,
        r#"{"permission":"write","role_name":"maintain"}"#,
    );
    assert!(github.permission(&repository(), "me/..").await.unwrap() >= Permission::Write);
    let pull = |number: u32| {
        let side = format!(r#"{{"ref":"b","sha":"{SHA}","repo":null}}"#);
        format!(r#"{{"number":{number},"state":"open","head":{side},"base":{side}}}"#)
    };
    let first = "/repos/acme/app/pulls?state=open&head=me%3Ab&per_page=100";
    let second = "/repos/acme/app/pulls?page=2";
    let link = format!("<{}{second}>; rel=\"next\"", server.address);
    server.answer_with(first, 200, &[("link", &link)], format!("[{},{}]", pull(1), pull(2)).as_bytes());
    server.answer(second, 200, &format!("[{}]", pull(3)));
    let mut pages = github.open_pull_requests(&repository(), "me", &"b".parse().unwrap());
    let mut numbers = Vec::new();
    while let Some(pull) = pages.next().await.unwrap() {
        assert_eq!(pull.head.repository, None);
        numbers.push(pull.number);
    }
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_token_that_is_none_is_an_error_and_not_a_panic() {
    let options = |token: &str| GithubOptions {
        api_url: "http://127.0.0.1:1".into(),
        token: Some(token.into()),
        secrets: Arc::new(|_| {}),
    };
    assert!(matches!(GithubClient::new(&options("a\nb")), Err(GithubError::Token)));
    assert!(GithubClient::new(&options("pasted\n")).is_ok());
    for address in ["ftp://x", "not a url", "https://x/?a=b"] {
        let options = GithubOptions { api_url: address.into(), ..options("t") };
        assert!(matches!(GithubClient::new(&options), Err(GithubError::Address(_))), "{address}");
    }
}

enum Entry {
    File(&'static str, u32, Vec<u8>),
    Link(&'static str, &'static str),
    /// A path as it is in the header: the library refuses to write some of these itself.
    Raw(&'static [u8]),
}

async fn archive(entries: Vec<Entry>) -> Vec<u8> {
    let mut builder = tokio_tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tokio_tar::Header::new_ustar();
        header.set_mtime(1_700_000_000);
        header.set_mode(0o664);
        match entry {
            Entry::File(path, mode, content) => {
                header.set_mode(mode);
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, path, content.as_slice()).await.unwrap();
            }
            Entry::Link(path, target) => {
                header.set_entry_type(tokio_tar::EntryType::Symlink);
                header.set_size(0);
                header.set_path(path).unwrap();
                header.set_link_name(target).unwrap();
                header.set_cksum();
                builder.append(&header, &b""[..]).await.unwrap();
            }
            Entry::Raw(path) => {
                header.set_size(0);
                header.as_mut_bytes()[..path.len()].copy_from_slice(path);
                header.set_cksum();
                builder.append(&header, &b""[..]).await.unwrap();
            }
        }
    }
    let tar = builder.into_inner().await.unwrap();
    let mut gzip = GzipEncoder::new(Vec::new());
    gzip.write_all(&tar).await.unwrap();
    gzip.shutdown().await.unwrap();
    gzip.into_inner()
}

struct Unpacked {
    result: Result<Extracted, GithubError>,
    scratch: tempfile::TempDir,
    other: Server,
}

/// Unpacks what a second host serves, to which the first one redirects as GitHub does.
async fn unpack(archives: Vec<Vec<u8>>, limit: u64) -> Unpacked {
    let (server, other) = (Server::start().await, Server::start().await);
    let location = format!("{}/acme/legacy.tar.gz/{SHA}?token=short-lived", other.address);
    server.answer_with(&format!("/repos/acme/app/tarball/{SHA}"), 302, &[("location", &location)], b"");
    for archive in archives {
        other.answer_with(&format!("/acme/legacy.tar.gz/{SHA}?token=short-lived"), 200, &[], &archive);
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("source");
    let github = client(&server, "");
    let result = github.unpack_source(&repository(), &SHA.parse().unwrap(), &folder, limit).await;
    Unpacked { result, scratch, other }
}

#[tokio::test]
async fn unpacks_what_git_archive_makes() {
    let mut noise = vec![0u8; 300_000];
    noise.iter_mut().enumerate().for_each(|(at, byte)| *byte = (at * at % 251) as u8);
    let entries = vec![
        Entry::File("acme-app-0123456/go.mod", 0o664, b"module x\n".to_vec()),
        Entry::File("acme-app-0123456/bin/run", 0o4775, noise.clone()),
        Entry::Link("acme-app-0123456/docs", "../../outside"),
    ];
    let unpacked = unpack(vec![archive(entries).await], 1 << 20).await;
    assert_eq!(unpacked.result.unwrap().files, 3);
    let folder = unpacked.scratch.path().join("source");
    assert_eq!(std::fs::read(folder.join("bin/run")).unwrap(), noise);
    let mode =
        |name: &str| std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(folder.join(name)).unwrap()) & 0o7777;
    assert_eq!((mode("go.mod"), mode("bin/run")), (0o644, 0o755));
    assert_eq!(std::fs::read_link(folder.join("docs")).unwrap().to_str(), Some("../../outside"));
    let seen = unpacked.other.seen();
    assert!(seen[0].1.get(header::AUTHORIZATION).is_none());
}

#[tokio::test]
async fn nothing_is_written_outside_and_nothing_is_left_behind() {
    let content = || b"x".to_vec();
    let through_a_link =
        vec![Entry::Link("top/out", "/tmp"), Entry::File("top/out/landfall-escaped", 0o644, content())];
    let top_is_a_link = vec![Entry::Link("top", "/tmp")];
    let two_tops = vec![Entry::File("a/x", 0o644, content()), Entry::File("b/x", 0o644, content())];
    for (name, entries) in [
        ("up", vec![Entry::Raw(b"top/../../landfall-escaped")]),
        ("absolute", vec![Entry::Raw(b"/landfall-escaped")]),
        ("through a link", through_a_link),
        ("top is a link", top_is_a_link),
        ("two tops", two_tops),
        ("nothing", vec![]),
    ] {
        let unpacked = unpack(vec![archive(entries).await], 1 << 20).await;
        let error = unpacked.result.expect_err(name);
        assert!(matches!(error, GithubError::Escape { .. } | GithubError::BadArchive { .. }), "{name}: {error:?}");
        assert_eq!(std::fs::read_dir(unpacked.scratch.path()).unwrap().count(), 0, "{name}");
        assert!(!std::path::Path::new("/tmp/landfall-escaped").exists(), "{name}");
    }
}

#[tokio::test]
async fn a_bomb_is_stopped_and_a_broken_download_is_repeated() {
    let whole = archive(vec![Entry::File("top/zeros", 0o644, vec![0; 4 << 20])]).await;
    let bomb = unpack(vec![whole.clone()], 1 << 20).await;
    assert!(matches!(bomb.result, Err(GithubError::TooLarge { limit: 1_048_576, .. })), "{:?}", bomb.result);
    assert_eq!(bomb.other.asked().len(), 1);
    let half = whole[..whole.len() / 2].to_vec();
    let mut damaged = whole.clone();
    let end = damaged.len();
    damaged[end - 6] ^= 0xff; // in the checksum at the very end
    let repeated = unpack(vec![half, damaged, whole], 8 << 20).await;
    assert_eq!(repeated.result.unwrap().files, 1);
    assert_eq!(repeated.other.asked().len(), 3);
}

#[tokio::test]
async fn a_repository_out_of_sight_is_an_error_and_not_a_missing_branch() {
    let server = Server::start().await;
    let github = client(&server, "");
    let ask = |name: &str| {
        let (github, name) = (github.clone(), name.parse().unwrap());
        async move { github.repository_and_head(&name, &"main".parse().unwrap()).await }
    };
    let error = ask("acme/secret").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotFound);
    assert_eq!(error.asked().unwrap().what, "repository");
    server.answer("/repos/acme/app", 200, REPOSITORY);
    assert_eq!(ask("acme/app").await.unwrap().1, None);
    server.answer("/repos/acme/app/git/ref/heads/main", 200, &reference("main"));
    assert!(ask("acme/app").await.unwrap().1.is_some());
}
