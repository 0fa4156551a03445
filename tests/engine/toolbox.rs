//! Purpose: commands in tool containers, in a real engine.

use std::sync::Mutex;
use std::time::Duration;

use landfall::domain::build_event::LogStream;
use landfall::services::engine::{Engine, EngineError};
use landfall::services::toolbox::{Content, Download, FetchError, LABEL, Tool, ToolError, Toolbox, Upload};
use landfall::services::{Classified as _, ErrorClass};

use crate::support::{base, dead_registry, engine, unique, write};

/// A shell script in the base image under a name of its own, so that its containers can be told from those of others.
async fn tool(engine: &Engine, script: &str) -> Tool {
    let name = format!("{}:1", unique("tool"));
    engine.tag(base(engine).await, &name).await.unwrap();
    Tool::new(name, ["sh", "-c", script])
}

/// No container of the tool is left; its name goes, too.
async fn gone(engine: &Engine, tool: &Tool) {
    let left = engine.containers_with(&format!("{LABEL}={}", tool.image)).await.unwrap();
    assert!(left.is_empty(), "{left:?}");
    engine.untag(&tool.image).await.unwrap();
}

async fn run(engine: &Engine, tool: &Tool) -> (Result<landfall::services::toolbox::Finished, ToolError>, Vec<String>) {
    let lines = Mutex::new(Vec::new());
    let note = |stream: LogStream, line: &str| lines.lock().unwrap().push(format!("{stream:?}: {line}"));
    let result = Toolbox::new(engine).run(tool, std::future::pending(), note).await;
    (result, lines.into_inner().unwrap())
}

#[tokio::test]
async fn files_go_in_lines_come_live_and_files_come_out() {
    let engine = engine().await;
    let scratch = tempfile::tempdir().unwrap();
    let source = scratch.path().join("source");
    write(&source, "deep/er/main.tf", "resource\n");
    write(&source, ".git/config", "secret\n");
    std::os::unix::fs::symlink("deep/er", source.join("link")).unwrap();
    let mut tool = tool(
        &engine,
        "cd /work/dir && find . | sort && cat link/main.tf && echo \"$TOKEN\" | wc -c && echo oops >&2
         mkdir -p /out/all/x && cp deep/er/main.tf /out/all/x/ && wc -c < /in/big > /out/size && cat /in/note && exit 3",
    )
    .await;
    tool.secrets.insert("TOKEN".into(), "s3cret".to_owned().into());
    let big = scratch.path().join("big");
    std::fs::File::create(&big).unwrap().set_len(64 << 20).unwrap();
    tool.uploads = vec![
        Upload { content: Content::Path { path: source, without: vec![".git".into()] }, ..Upload::folder("/work/dir") },
        Upload::path("/in/big", &big),
        Upload::bytes("/in/note", "a note\n"),
    ];
    let to = |name: &str| scratch.path().join(name);
    tool.downloads = vec![
        Download::required("/out/size", to("size"), 100),
        Download::required("/out/all", to("all"), 100),
        Download::optional("/out/none", to("none"), 100),
    ];
    let (finished, lines) = run(&engine, &tool).await;
    let finished = finished.unwrap();
    assert_eq!((finished.code, finished.out_of_memory), (3, false));
    assert_eq!(finished.fetched, ["/out/size", "/out/all"]);
    for expected in ["Output: ./link", "Output: resource", "Output: 7", "Error: oops", "Output: a note"] {
        assert!(lines.iter().any(|line| line == expected), "{expected}: {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.contains(".git")), "{lines:?}");
    assert!(finished.tail.contains(&"a note".to_owned()));
    assert_eq!(std::fs::read_to_string(to("size")).unwrap(), format!("{}\n", 64 << 20));
    assert_eq!(std::fs::read_to_string(to("all").join("x/main.tf")).unwrap(), "resource\n");
    gone(&engine, &tool).await;
}

#[tokio::test]
async fn what_a_tool_leaves_is_not_trusted() {
    let engine = engine().await;
    let scratch = tempfile::tempdir().unwrap();
    let mut tool =
        tool(&engine, "mkdir /out && ln -s /etc/passwd /out/report && head -c 5000 /dev/zero > /out/large; echo end")
            .await;
    let take = |from: &str, limit: u64| vec![Download::required(from, scratch.path().join("taken"), limit)];
    tool.downloads = take("/out", 1 << 20);
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(
        matches!(&error, ToolError::Fetch { source: FetchError::Kind(name), .. } if name == "out/report"),
        "{error}"
    );
    tool.downloads = take("/out/large", 4999);
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(matches!(error, ToolError::Fetch { source: FetchError::TooLarge(4999), .. }), "{error}");
    tool.downloads = take("/out/nothing", 10);
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(matches!(&error, ToolError::Missing { code: 0, tail, .. } if *tail == ["end"]), "{error}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    gone(&engine, &tool).await;
}

#[tokio::test]
async fn a_tool_that_is_too_slow_or_not_wanted_is_removed() {
    let engine = engine().await;
    let mut tool = tool(&engine, "echo begun; sleep 600").await;
    tool.limit = Some(Duration::from_secs(2));
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(matches!(&error, ToolError::TimedOut { tail, .. } if *tail == ["begun"]), "{error}");
    gone(&engine, &tool).await;
    engine.tag(base(&engine).await, &tool.image).await.unwrap();
    tool.limit = None;
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    let sender = Mutex::new(Some(sender));
    let begun = |_: LogStream, _: &str| drop(sender.lock().unwrap().take());
    let wanted = async move { drop(receiver.await) };
    let error = Toolbox::new(&engine).run(&tool, wanted, begun).await.unwrap_err();
    assert!(matches!(error, ToolError::Cancelled), "{error}");
    gone(&engine, &tool).await;
}

#[tokio::test]
async fn a_tool_without_memory_is_told_apart() {
    let engine = engine().await;
    let mut tool = tool(&engine, "x=a; while true; do x=\"$x$x\"; done").await;
    tool.memory = Some(16 << 20);
    let finished = run(&engine, &tool).await.0.unwrap();
    assert!(finished.out_of_memory && finished.code == 137, "{finished:?}");
    gone(&engine, &tool).await;
}

#[tokio::test]
async fn an_image_that_cannot_be_had_is_named() {
    let engine = engine().await;
    let toolbox = Toolbox::new(&engine);
    let tool = Tool::new(format!("{}/tools/none:1", dead_registry()), ["x"]);
    let error = toolbox.provide(&tool, |_| ()).await.unwrap_err();
    assert!(error.to_string().contains(&tool.image), "{error}");
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(matches!(error, ToolError::Engine(EngineError::NotFound { .. })), "{error}");
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_named() {
    let engine = engine().await;
    let mut tool = tool(&engine, "true").await;
    tool.uploads = vec![Upload::path("/in/x", "/nowhere/at/all")];
    let error = run(&engine, &tool).await.0.unwrap_err();
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
    gone(&engine, &tool).await;
}
