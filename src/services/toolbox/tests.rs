//! Purpose: what comes out of a container, and lines, without an engine.

use std::sync::Mutex;

use super::fetch::unpack;
use super::lines::Lines;
use super::*;

/// An entry by its raw path, so that paths can be written which no library writes.
struct Raw(&'static [u8], tokio_tar::EntryType, &'static [u8]);

const FILE: tokio_tar::EntryType = tokio_tar::EntryType::Regular;
const FOLDER: tokio_tar::EntryType = tokio_tar::EntryType::Directory;
const LINK: tokio_tar::EntryType = tokio_tar::EntryType::Symlink;

async fn tar(entries: &[Raw]) -> Vec<u8> {
    let mut builder = tokio_tar::Builder::new(Vec::new());
    for Raw(path, kind, content) in entries {
        let mut header = tokio_tar::Header::new_ustar();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.as_mut_bytes()[..path.len()].copy_from_slice(path);
        let is_link = *kind == LINK || *kind == tokio_tar::EntryType::Link;
        header.set_size(if is_link { 0 } else { content.len() as u64 });
        if is_link {
            header.set_link_name(std::str::from_utf8(content).unwrap()).unwrap();
        }
        header.set_cksum();
        builder.append(&header, if is_link { &b""[..] } else { content }).await.unwrap();
    }
    builder.into_inner().await.unwrap()
}

#[tokio::test]
async fn files_and_folders_come_out_as_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("report.json");
    std::fs::write(&file, "old").unwrap();
    let entries = tar(&[Raw(b"out.json", FILE, b"{}")]).await;
    unpack(entries.as_slice(), &file, 2).await.unwrap();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{}");
    let folder = scratch.path().join("state");
    let entries =
        tar(&[Raw(b"work/", FOLDER, b""), Raw(b"work/a/", FOLDER, b""), Raw(b"work/a/run", FILE, b"#!")]).await;
    unpack(entries.as_slice(), &folder, 100).await.unwrap();
    assert_eq!(std::fs::read(folder.join("a/run")).unwrap(), b"#!");
    let again = unpack(entries.as_slice(), &folder, 100).await.unwrap_err();
    assert!(matches!(again, FetchError::Exists(_)), "{again}");
}

#[tokio::test]
async fn nothing_leaves_its_folder_and_nothing_is_left_behind() {
    let link = || Raw(b"work/out", LINK, b"/tmp");
    let work = || Raw(b"work/", FOLDER, b"");
    for (name, entries) in [
        ("up", vec![work(), Raw(b"work/../../escaped", FILE, b"x")]),
        ("absolute", vec![Raw(b"/escaped", FILE, b"x")]),
        ("up at once", vec![Raw(b"../escaped", FILE, b"x")]),
        ("a link", vec![work(), link()]),
        ("through a link", vec![work(), link(), Raw(b"work/out/escaped", FILE, b"x")]),
        ("a link itself", vec![Raw(b"work", LINK, b"/etc/passwd")]),
        ("a hard link", vec![work(), Raw(b"work/out", tokio_tar::EntryType::Link, b"/etc/passwd")]),
        ("a device", vec![work(), Raw(b"work/null", tokio_tar::EntryType::Char, b"")]),
        ("a second root", vec![work(), Raw(b"other", FILE, b"x")]),
        ("too large", vec![work(), Raw(b"work/a", FILE, b"123456"), Raw(b"work/b", FILE, b"123456")]),
        ("twice", vec![work(), Raw(b"work/a", FILE, b"1"), Raw(b"work/a", FILE, b"2")]),
        ("nothing", vec![]),
    ] {
        let scratch = tempfile::tempdir().unwrap();
        let entries = tar(&entries).await;
        let error = unpack(entries.as_slice(), &scratch.path().join("state"), 10).await.expect_err(name);
        let left: Vec<_> = std::fs::read_dir(scratch.path()).unwrap().collect();
        assert!(left.is_empty(), "{name}: {error}: {left:?}");
    }
    assert!(!Path::new("/escaped").exists() && !Path::new("/tmp/escaped").exists());
}

#[test]
fn lines_are_handed_on_whole_and_the_last_are_kept() {
    let seen = Mutex::new(Vec::new());
    let hand_on = |stream: LogStream, line: &str| seen.lock().unwrap().push((stream, line.to_owned()));
    let mut lines = Lines::new(2);
    lines.add(LogStream::Output, b"one\ntw", &hand_on);
    lines.add(LogStream::Error, b"10%\r20%\r100%\r\n", &hand_on);
    lines.add(LogStream::Output, b"o\nrest", &hand_on);
    lines.end(&hand_on);
    let seen: Vec<String> = seen.into_inner().unwrap().into_iter().map(|(_, line)| line).collect();
    assert_eq!(seen, ["one", "100%", "two", "rest"]);
    assert_eq!(lines.kept(), ["two", "rest"]);
}

#[test]
fn secrets_are_no_arguments() {
    let mut tool = Tool::new("acme/tool", ["scan"]);
    tool.secrets.insert("TOKEN".into(), "s3cret".to_owned().into());
    let spec = tool.spec();
    assert_eq!(spec.environment["TOKEN"], "s3cret");
    assert_eq!(spec.command, Some(vec!["scan".to_owned()]));
    assert!(!format!("{tool:?}").contains("s3cret"));
}
