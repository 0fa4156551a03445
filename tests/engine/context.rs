//! Purpose: what of a context reaches the build, and what does not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use landfall::domain::build_event::BuildEvent;
use landfall::services::buildkit::{BuildError, Builder, Logins, Output};
use sha2::{Digest as _, Sha256};

use crate::support::{base, build, context, engine, request, write, written};

/// Runs a script over a copy of the context's `tree` and returns what it wrote and what was sent.
async fn copied(root: &Path, copy: &str, script: &str) -> (String, u64) {
    let engine = engine().await;
    let base = base(&engine).await;
    write(root, "Dockerfile", format!("FROM {base}\n{copy}\nRUN {script}\n"));
    let mut request = request(root);
    request.output = Output::Nothing;
    let (built, events) = build(&Builder::for_engine(&engine), &request, &Logins::none()).await;
    built.unwrap();
    (written(&events), sent(&events))
}

/// Bytes that the context's transfers took, the protocol included.
fn sent(events: &[BuildEvent]) -> u64 {
    let bytes = |event: &BuildEvent| match event {
        BuildEvent::Transfer(transfer) if transfer.name == "transferring context:" => Some(transfer.current),
        _ => None,
    };
    events.iter().filter_map(bytes).max().unwrap_or_default()
}

fn mode(root: &Path, path: &str, mode: u32) {
    std::fs::set_permissions(root.join(path), std::fs::Permissions::from_mode(mode)).unwrap();
}

#[tokio::test]
async fn everything_arrives_as_it_is() {
    let context = context(&[
        ("tree/a file", "one\n"),
        ("tree/a/nested/deep.txt", "deep\n"),
        ("tree/a.b", "sorts between\n"),
        ("tree/tool", "#!/bin/sh\n"),
        ("tree/grüße/日本.txt", "unicode\n"),
        ("tree/private", "x"),
        ("tree/link/first", "linked\n"),
    ]);
    let root = context.path();
    std::fs::create_dir(root.join("tree/empty")).unwrap();
    std::fs::hard_link(root.join("tree/link/first"), root.join("tree/link/second")).unwrap();
    symlink("../a file", root.join("tree/link/relative")).unwrap();
    symlink("/etc/passwd", root.join("tree/link/absolute")).unwrap();
    symlink("nowhere", root.join("tree/link/dangling")).unwrap();
    mode(root, "tree/tool", 0o4755);
    mode(root, "tree/private", 0o600);
    mode(root, "tree/empty", 0o1777);
    for file in ["a file", "a/nested/deep.txt", "a.b", "grüße/日本.txt", "link/first"] {
        mode(root, &format!("tree/{file}"), 0o644);
    }
    for folder in ["tree", "tree/a", "tree/a/nested", "tree/grüße", "tree/link"] {
        mode(root, folder, 0o755);
    }
    let script = "cd /tree && find . | sort | while read -r path; do stat -c '%A %u:%g %h %N' \"$path\"; done; \
                  cat 'a file' a/nested/deep.txt link/second grüße/日本.txt";
    let (text, _) = copied(root, "COPY tree /tree", script).await;
    insta::assert_snapshot!(without_folders_links(&text));
}

/// The listing without the link counts of folders, which differ between file systems.
fn without_folders_links(text: &str) -> String {
    let strip = |line: &str| {
        let mut words: Vec<&str> = line.splitn(4, ' ').collect();
        if line.starts_with('d') && words.len() == 4 {
            words[2] = "-";
        }
        words.join(" ") + "\n"
    };
    text.lines().map(strip).collect()
}

#[tokio::test]
async fn what_dockerignore_names_stays_here() {
    let context = context(&[
        (".dockerignore", "# comment\n\n*.log\n!keep.log\n/build\n**/secret.*\n!docs/secret.md\n"),
        ("tree/x", ""),
        ("app.log", "no"),
        ("keep.log", "yes"),
        ("build/out", "no"),
        ("src/build/in", "yes"),
        ("src/secret.txt", "no"),
        ("docs/secret.md", "yes"),
    ]);
    let (text, _) = copied(context.path(), "COPY . /tree", "cd /tree && find . -type f | sort").await;
    assert_eq!(text, "./.dockerignore\n./Dockerfile\n./docs/secret.md\n./keep.log\n./src/build/in\n./tree/x\n");
}

#[tokio::test]
async fn only_what_is_copied_is_sent() {
    let context = context(&[("wanted/small", "small"), ("wanted/other", "other"), ("current/x", "no")]);
    let root = context.path();
    let huge = std::fs::File::create(root.join("huge")).unwrap();
    huge.set_len(1024 * 1024 * 1024).unwrap();
    std::fs::create_dir(root.join("releases")).unwrap();
    write(root, "releases/2/app", "through a link");
    symlink("releases/2", root.join("latest")).unwrap();
    let copy = "COPY wanted/sm* /one/\nCOPY latest/app /two/";
    let (text, sent) = copied(root, copy, "find /one /two -type f | sort; cat /two/app").await;
    assert_eq!(text, "/one/small\n/two/app\nthrough a link");
    assert!(sent < 10_000, "{sent} bytes were sent");
}

#[tokio::test]
async fn a_large_file_arrives_whole() {
    let context = context(&[]);
    let mut content = Vec::with_capacity(64 * 1024 * 1024);
    let mut state = 1_u64;
    while content.len() < 64 * 1024 * 1024 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(&state.to_le_bytes());
    }
    // One byte more than whole packets, and a file of exactly one.
    content.push(7);
    write(context.path(), "large", &content);
    write(context.path(), "packet", &content[..32 * 1024]);
    let digest = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (text, sent) = copied(context.path(), "COPY large packet /", "sha256sum /large /packet").await;
    assert_eq!(text, format!("{}  /large\n{}  /packet\n", digest(&content), digest(&content[..32 * 1024])));
    assert!(sent > 64 * 1024 * 1024);
}

#[tokio::test]
async fn many_files_arrive() {
    let context = context(&[]);
    for folder in 0..20 {
        for file in 0..100 {
            write(context.path(), &format!("many/{folder}/{file}"), format!("{folder}-{file}\n"));
        }
    }
    let script = "find /many -type f | wc -l; cat $(find /many -type f) | sort | sha256sum";
    let (text, _) = copied(context.path(), "COPY many /many", script).await;
    let mut lines: Vec<String> = (0..2000).map(|i| format!("{}-{}\n", i / 100, i % 100)).collect();
    lines.sort();
    let digest: String = Sha256::digest(lines.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(text, format!("2000\n{digest}  -\n"));
}

#[tokio::test]
async fn a_name_that_is_no_text_arrives_or_is_named() {
    let context = context(&[("tree/plain", "")]);
    std::fs::write(context.path().join("tree").join(OsStr::from_bytes(b"caf\xE9")), "latin one").unwrap();
    let engine = engine().await;
    let base = base(&engine).await;
    let script = "ls /tree | wc -l; cat /tree/caf*";
    write(context.path(), "Dockerfile", format!("FROM {base}\nCOPY tree /tree\nRUN {script}\n"));
    let mut request = request(context.path());
    request.output = Output::Nothing;
    match build(&Builder::for_engine(&engine), &request, &Logins::none()).await {
        (Ok(_), events) => assert_eq!(written(&events), "2\nlatin one"),
        (Err(BuildError::Context { path, source }), _) => {
            assert_eq!(path.as_os_str().as_bytes(), b"tree/caf\xE9");
            assert_eq!(source.kind(), std::io::ErrorKind::InvalidData);
        }
        (Err(error), _) => panic!("{error}"),
    }
}
