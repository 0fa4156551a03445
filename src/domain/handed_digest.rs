//! Purpose: digests as jobs hand them over in files: as text in a file, or as the name of an empty one.
//!
//! The latter is what workflows for `docker/build-push-action` do (`touch digests/<hex>`).

/// Digests in a file, as they are written. Blank lines and those behind `#` are left out.
#[must_use]
pub fn digests(path: &str, content: &str) -> Vec<String> {
    let lines = content.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let found: Vec<String> = lines.map(str::to_owned).collect();
    if !found.is_empty() || !content.trim().is_empty() {
        return found;
    }
    let name = path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() { Vec::new() } else { vec![name.to_owned()] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_digests_or_is_named_after_one() {
        assert_eq!(digests("d/amd64", "# of amd64\nghcr.io/a/b@sha256:1\n\n"), ["ghcr.io/a/b@sha256:1"]);
        assert_eq!(digests("d/abc", " \n"), ["abc"]);
        assert_eq!(digests("d/abc", "# nothing"), [""; 0]);
        assert_eq!(digests("d/", ""), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_written_is_lines_without_blanks(path in "[a-z/]{0,8}", content in "[ a-z#\n]{0,24}") {
            for digest in digests(&path, &content) {
                proptest::prop_assert!(!digest.is_empty() && digest.trim() == digest && !digest.contains('\n'));
            }
        }
    }
}
