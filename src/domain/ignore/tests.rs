//! Purpose: cases of `moby/patternmatcher` (Apache-2.0), and properties.

use proptest::prelude::*;

use super::*;

#[test]
fn reads_an_ignore_file_like_docker() {
    let text = "\u{feff}test1\r\n/test2\n/a/file/here\n\n  lastfile  \n# a comment\n #not a comment\n! /inverted/abs/path\n!\n! \na//b/../c/\n/\n";
    let expected: Vec<&str> =
        vec!["test1", "test2", "a/file/here", "lastfile", "#not a comment", "!inverted/abs/path", "!", "!", "a/c", "/"];
    let found = parse(text.as_bytes());
    assert_eq!(found.iter().map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>(), expected);
}

#[test]
fn cleans_paths_like_go() {
    for (given, cleaned) in [
        ("", "."),
        ("/", "/"),
        ("a/", "a"),
        ("./a/./b", "a/b"),
        ("a/../..", ".."),
        ("../../a", "../../a"),
        ("/../a", "/a"),
        ("a/b/../../c", "c"),
    ] {
        assert_eq!(clean(given.as_bytes()), cleaned.as_bytes(), "{given}");
    }
}

fn matches(patterns: &[&str], path: &str) -> bool {
    Patterns::new(patterns).unwrap().matches(path.as_bytes())
}

/// The same question, asked folder by folder as a walk does.
fn matches_walking(patterns: &Patterns, path: &[u8]) -> bool {
    let mut folder = None;
    for (at, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
        folder = Some(patterns.matches_folder(&path[..at], folder.as_ref()).1);
    }
    patterns.matches_in(path, folder.as_ref())
}

#[test]
fn matches_like_the_reference() {
    for (pattern, path, expected) in [
        ("**", "file", true),
        ("**/", "dir/file", true),
        ("**/**", "dir/file", true),
        ("dir/**", "dir/dir2/file", true),
        ("**/dir", "dir", true),
        ("**/dir", "dir/file", true),
        ("**/dir2/*", "dir/dir2/file", true),
        ("**/dir2/**", "dir/dir2/dir3/file", true),
        ("**file", "dir/dir/file", true),
        ("**/file*txt", "dir/dir/file.txt", true),
        ("**/**/*.txt", "dir/dir/file.txt", true),
        ("**/**/*.txt2", "dir/dir/file.txt", false),
        ("**/**/*.txt", "file.txt", true),
        ("a**/*.txt", "a/dir/dir/file.txt", true),
        ("a/*.txt", "a/dir/file.txt", false),
        ("a/*.txt**", "a/file.txt", true),
        ("a[b-d]e", "ae", false),
        ("a[b-d]e", "ace", true),
        ("a[^b-d]e", "aze", true),
        (".*", ".foo", true),
        (".*", "foo", false),
        ("abc.def", "abcZdef", false),
        ("abc?def", "abcZdef", true),
        ("a\\\\", "a\\", true),
        ("**/foo/bar", "dir/dir2/foo/bar", true),
        ("abc/**", "abc", false),
        ("abc/**", "abc/def/ghi", true),
        ("**/.foo", "bar.foo", false),
        ("a(b)c/def", "a(b)c/xyz", false),
        ("a.|)$(}+{bc", "a.|)$(}+{bc", true),
        ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", true),
        ("a*", "ab/c", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", true),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", false),
        ("a*b?c*x", "abxbbxdbxebxczzy", false),
        ("a\\*b", "a*b", true),
        ("a?b", "a☺b", true),
        ("a[^a]b", "a☺b", true),
        ("a???b", "a☺b", false),
        ("[a-ζ]*", "α", true),
        ("*[a-ζ]", "A", false),
        ("a?b", "a/b", false),
        ("[\\]a]", "]", true),
        ("[x\\-]", "-", true),
        ("[\\-x]", "a", false),
        ("*x", "xxx", true),
        // Oddities of the translation: a class broken up by a star, a class of POSIX, a caret in the middle.
        ("[*]", "*", false),
        ("[*]", "]", true),
        ("[[:digit:]]*", "1a", true),
        ("a^b*", "a^b", false),
        ("\\d", "7", true),
        ("b*\\", "bc$def", true),
    ] {
        assert_eq!(matches(&[pattern], path), expected, "{pattern} {path}");
    }
}

#[test]
fn exceptions_and_their_order_count() {
    for (patterns, path, expected) in [
        (&["!fileutils.go", "*.go"][..], "fileutils.go", true),
        (&["*.go", "!fileutils.go"], "fileutils.go", false),
        (&["docs", "!docs/README.md"], "docs/README.md", false),
        (&["docs/", "!docs/README.md"], "docs/README.md", false),
        (&["**", "!util/docker/web"], "util/docker/web/foo", false),
        (&["**", "!util/docker/web", "util/docker/web/foo"], "util/docker/web/foo", true),
        (&["**", "!dist/*.whl"], "dist/a.whl", false),
        (&[" docs ", ""], "docs", true),
    ] {
        assert_eq!(matches(patterns, path), expected, "{patterns:?} {path}");
    }
}

#[test]
fn malformed_patterns_are_named() {
    for pattern in [
        "!",
        "[",
        "[^",
        "[^bc",
        "a[",
        "[]a]",
        "[-]",
        "[x-]",
        "[-x]",
        "\\",
        "[a-b-c]",
        "b*[",
        "[Local-Only]",
        "\\e",
        "\\Qx",
    ] {
        let error = Patterns::new(["fine", pattern]).unwrap_err();
        assert_eq!(error.pattern, pattern);
    }
}

#[test]
fn bytes_that_are_no_text_are_single_characters() {
    let patterns = Patterns::new([b"caf?.txt".as_slice(), b"\xFF".as_slice()]).unwrap();
    assert!(patterns.matches(b"caf\xE9.txt"));
    assert!(patterns.matches(b"\xFF"));
    assert!(!patterns.matches(b"caf\xE9\xE9.txt"));
}

/// What a walk over the paths sends, skipping what the filter says need not be walked.
fn walked(filter: &Filter, paths: &[&str]) -> Vec<String> {
    fn below(filter: &Filter, paths: &[&str], folder: &str, visit: Option<&Visit>, sent: &mut Vec<String>) {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let mut names: Vec<(&str, bool)> = Vec::new();
        for rest in paths.iter().filter_map(|path| path.strip_prefix(prefix.as_str())) {
            let (name, is_folder) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            if names.last().is_none_or(|(last, _)| *last != name) {
                names.push((name, is_folder));
            }
        }
        for (name, is_folder) in names {
            let path = format!("{prefix}{name}");
            if !is_folder {
                if filter.file(path.as_bytes(), visit) {
                    sent.push(path);
                }
                continue;
            }
            match filter.directory(path.as_bytes(), visit) {
                Directory::Skip => {}
                Directory::Walk(inner) => below(filter, paths, &path, Some(&inner), sent),
                Directory::Send(inner) => {
                    sent.push(format!("{path}/"));
                    below(filter, paths, &path, Some(&inner), sent);
                }
            }
        }
    }
    let mut sent = Vec::new();
    below(filter, paths, "", None, &mut sent);
    sent
}

#[test]
fn a_walk_sends_what_is_asked_and_skips_the_rest() {
    let paths =
        ["Dockerfile", "docs/README.md", "docs/a/b.md", "node_modules/x/index.js", "src/main.rs", "src/sub/lib.rs"];
    let filter = |includes: &[&str], excludes: &[&str]| Filter::new(includes, excludes).unwrap();
    assert_eq!(walked(&filter(&["src"], &[]), &paths), ["src/", "src/main.rs", "src/sub/", "src/sub/lib.rs"]);
    assert_eq!(walked(&filter(&["src/sub"], &[]), &paths), ["src/sub/", "src/sub/lib.rs"]);
    assert_eq!(walked(&filter(&["**/*.rs"], &["src/sub"]), &paths), ["src/main.rs"]);
    assert_eq!(walked(&filter(&[], &["*", "!docs/a"]), &paths), ["docs/a/", "docs/a/b.md"]);
    assert!(matches!(filter(&["src/sub"], &[]).directory(b"node_modules", None), Directory::Skip));
    assert!(matches!(filter(&["src/sub"], &[]).directory(b"src", None), Directory::Walk(_)));
    assert!(matches!(filter(&[], &["node_modules"]).directory(b"node_modules", None), Directory::Skip));
    assert!(matches!(filter(&[], &["*", "!**/x"]).directory(b"node_modules", None), Directory::Walk(_)));
}

fn pattern() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec!["a", "b", "é", "*", "**", "/", "?", ".", "!", "[ab]", "[^a]", "\\*", "^"]),
        1..8,
    )
    .prop_map(|parts| parts.concat())
}

fn path() -> impl Strategy<Value = String> {
    let name =
        prop::collection::vec(prop::sample::select(vec!["a", "b", "é", ".", "*", "x"]), 1..4).prop_map(|c| c.concat());
    prop::collection::vec(name, 1..5).prop_map(|names| names.join("/"))
}

proptest! {
    #[test]
    fn no_text_breaks_the_compiler_or_the_matcher(pattern in any::<Vec<u8>>(), path in any::<Vec<u8>>()) {
        if let Ok(patterns) = Patterns::new([pattern]) {
            let _ = patterns.matches(&path);
        }
    }

    #[test]
    fn cleaning_is_idempotent(path in any::<Vec<u8>>()) {
        prop_assert_eq!(clean(&clean(&path)), clean(&path));
    }

    #[test]
    fn skipping_folders_loses_nothing(patterns in prop::collection::vec(pattern(), 1..5), paths in prop::collection::vec(path(), 1..8), including: bool) {
        let Ok(compiled) = Patterns::new(&patterns) else { return Ok(()) };
        prop_assume!(!compiled.is_empty());
        let mut paths: Vec<String> = paths.into_iter().filter(|path| !path.split('/').any(|name| name == "." || name == "..")).collect();
        paths.sort_by(|a, b| a.split('/').cmp(b.split('/')));
        paths.dedup();
        let ancestors: Vec<String> = paths.iter().map(|path| format!("{path}/")).collect();
        paths.retain(|path| !ancestors.iter().any(|other| path != other.trim_end_matches('/') && other.starts_with(&format!("{path}/"))));
        let texts: Vec<&str> = paths.iter().map(String::as_str).collect();
        let none: Vec<String> = Vec::new();
        let filter = if including { Filter::new(&patterns, &none) } else { Filter::new(&none, &patterns) }.unwrap();
        let sent: Vec<String> = walked(&filter, &texts).into_iter().filter(|path| !path.ends_with('/')).collect();
        let expected: Vec<&str> = texts.iter().copied().filter(|path| matches_walking(&compiled, path.as_bytes()) == including).collect();
        prop_assert_eq!(sent, expected);
    }

    #[test]
    fn a_literal_pattern_matches_itself_and_what_lies_below(path in "[a-z]{1,8}(/[a-z]{1,8}){0,3}", rest in "[a-z]{1,8}") {
        prop_assert!(matches(&[&path], &path));
        let (below, longer) = (format!("{path}/{rest}"), format!("{path}{rest}"));
        prop_assert!(matches(&[&path], &below));
        prop_assert!(!matches(&[&path], &longer));
    }
}
