//! Purpose: where in the source a test failed, as far as its failure text tells.

/// A file and a line, as some tool wrote them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Path or bare file name.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
}

/// Longest line of a failure text that is looked at, in bytes.
const LONGEST_LINE: usize = 2_000;
/// Places that one text gives at most.
const MOST: usize = 20;

/// The places in a failure text, most likely first: as they stand in the text. Understood are
/// `path/file.py:12: Error`, `at f (src/a.test.js:10:5)`, `src/lib.rs:12:5`, `a_test.go:15:`, `(FooTest.java:42)`,
/// `File "a.py", line 3` and `in /src/A.php:7`.
#[must_use]
pub fn places(text: &str) -> Vec<Place> {
    let mut found = Vec::new();
    for line in text.lines().filter(|line| line.len() <= LONGEST_LINE) {
        for place in quoted(line).into_iter().chain(coloned(line)) {
            if !found.contains(&place) {
                found.push(place);
            }
            if found.len() == MOST {
                return found;
            }
        }
    }
    found
}

/// `File "a.py", line 3`.
fn quoted(line: &str) -> Option<Place> {
    let (file, rest) = line.split_once("File \"")?.1.split_once('"')?;
    let number = rest.split_once("line ")?.1;
    place(file, number)
}

/// `file:12` anywhere in a line.
fn coloned(line: &str) -> Vec<Place> {
    let word_ends = |c: char| c.is_whitespace() || "()[]{}<>\"'`,;|=".contains(c);
    let words = line.split(word_ends).filter(|word| word.contains(':') && word.contains('.'));
    words.filter_map(of_word).collect()
}

/// `src/a.js:10:5` or `C:\a.cs:10`; the first colon with a number behind it counts.
fn of_word(word: &str) -> Option<Place> {
    let word = word.strip_prefix("file://").unwrap_or(word);
    word.match_indices(':').find_map(|(at, _)| place(&word[..at], &word[at + 1..]))
}

/// A file with an extension, and a number that is a line.
fn place(file: &str, number: &str) -> Option<Place> {
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    let line: u32 = digits.parse().ok().filter(|line| *line > 0)?;
    let name = file.rsplit(['/', '\\']).next().unwrap_or(file);
    let (stem, extension) = name.rsplit_once('.')?;
    let is_word = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric());
    // `12.5:30` and `host.example:8080` are no files.
    let is_file = !stem.is_empty() && is_word(extension) && extension.len() <= 5 && !file.contains("://");
    let is_number = extension.chars().all(|c| c.is_ascii_digit());
    (is_file && !is_number).then(|| Place { file: file.replace('\\', "/"), line })
}

/// Paths below the workspace that a file named by a tool may be, most likely first: as it is, without one of the
/// roots, and, for the bare name in a Java stack trace, in the package's folder below the usual source folders.
#[must_use]
pub fn candidates(file: &str, class: &str, roots: &[&str]) -> Vec<String> {
    let file = file.trim_start_matches("./");
    if let Some(root) = roots.iter().find(|root| file.starts_with(&format!("{}/", root.trim_end_matches('/')))) {
        return vec![file[root.trim_end_matches('/').len() + 1..].to_owned()];
    }
    if let Some(rest) = file.strip_prefix('/') {
        // A path on another machine or in another container: its longest end that exists here is the file.
        let ends = rest.match_indices('/').map(|(at, _)| rest[at + 1..].to_owned());
        return ends.filter(|end| end.contains('/')).collect();
    }
    let mut all = vec![file.to_owned()];
    if !file.contains('/') && class.contains('.') {
        let package: Vec<&str> = class.split('.').collect();
        let folder = package[..package.len() - 1].join("/");
        let extension = file.rsplit('.').next().unwrap_or_default();
        let languages: &[&str] = match extension {
            "java" => &["java"],
            "kt" => &["kotlin", "java"],
            "scala" => &["scala"],
            "groovy" => &["groovy"],
            _ => &[],
        };
        for language in languages {
            for kind in ["test", "main", "integrationTest"] {
                all.push(format!("src/{kind}/{language}/{folder}/{file}"));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_of_many_languages() {
        for (text, file, line) in [
            ("tests/unit/test_pool.py:12: AssertionError", "tests/unit/test_pool.py", 12),
            ("    at Object.<anonymous> (src/a.test.js:10:5)", "src/a.test.js", 10),
            ("thread 'x' panicked at src/lib.rs:12:5:", "src/lib.rs", 12),
            ("        pool_test.go:15: got 1", "pool_test.go", 15),
            ("\tat com.acme.AppTest.works(AppTest.java:42)", "AppTest.java", 42),
            ("  File \"/app/tests/x.py\", line 3, in test", "/app/tests/x.py", 3),
            ("/builds/app/tests/ATest.php:7", "/builds/app/tests/ATest.php", 7),
            ("   at A.B() in C:\\src\\a.cs:line 9", "", 0),
            ("# ./spec/a_spec.rb:4:in `block'", "./spec/a_spec.rb", 4),
            ("Timeout at 12.5:30, see https://host.example:8080/x", "", 0),
        ] {
            let first = places(text).into_iter().next();
            let expected = (line > 0).then(|| Place { file: file.to_owned(), line });
            assert_eq!(first, expected, "{text}");
        }
    }

    #[test]
    fn candidates_lie_below_the_workspace() {
        let roots = ["/home/runner/work/app/app", "/github/workspace"];
        assert_eq!(candidates("/github/workspace/src/a.py", "", &roots), ["src/a.py"]);
        assert_eq!(candidates("/build/app/src/a.py", "", &roots), ["app/src/a.py", "src/a.py"]);
        assert_eq!(candidates("./spec/a.rb", "", &roots), ["spec/a.rb"]);
        assert_eq!(
            candidates("AppTest.java", "com.acme.AppTest", &roots)[..2],
            ["AppTest.java", "src/test/java/com/acme/AppTest.java"]
        );
    }

    proptest! {
        #[test]
        fn any_text_is_searched(text in "(\\PC|:|[0-9]|\\.|/|\n){0,80}") {
            for place in places(&text) {
                prop_assert!(place.line > 0 && place.file.contains('.'));
            }
        }
    }
}
