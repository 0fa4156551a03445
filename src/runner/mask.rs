//! Purpose: the secrets of this run, so that none is ever printed.

use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Shorter values are not replaced in our own text: they would tear every word apart and protect nothing.
const SHORTEST: usize = 4;
/// Shorter values are not looked for in other forms: what is left of them there could be anything.
const SHORTEST_IN_FORMS: usize = 8;
/// What `encodeURIComponent` and most libraries leave as it is (RFC 3986, "unreserved characters").
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A way in which text is written somewhere, as Markdown escapes it.
pub type Form = fn(&str) -> String;

/// Secrets known so far; a clone knows the same ones.
#[derive(Clone, Default)]
pub struct Masks {
    known: Arc<Mutex<Known>>,
    forms: &'static [Form],
}

/// Two lists, the longest first, so that a secret inside another leaves no rest behind.
#[derive(Default)]
struct Known {
    secrets: Vec<String>,
    /// The secrets, and each in the forms in which it could be written.
    written: Vec<String>,
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(***)")
    }
}

impl Masks {
    /// No secrets yet; `forms` are looked for beside base64, percent-encoding and JSON.
    #[must_use]
    pub fn with_forms(forms: &'static [Form]) -> Self {
        Self { forms, ..Self::default() }
    }

    /// Registers a secret. Returns the values that are new, one for each line of it, for the runner's own list.
    pub(super) fn add(&self, secret: &str) -> Vec<String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut new = Vec::new();
        for line in secret.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if !known.secrets.iter().any(|value| value == line) {
                known.secrets.push(line.to_owned());
                known.written.extend(self.written(line));
                new.push(line.to_owned());
            }
        }
        if !new.is_empty() {
            // Equal ones beside each other: most secrets look the same in several forms.
            known.written.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
            known.written.dedup();
        }
        new
    }

    /// Every way in which the secret could stand in a text.
    fn written(&self, secret: &str) -> Vec<String> {
        if secret.len() < SHORTEST {
            return Vec::new();
        }
        let mut all = vec![secret.to_owned()];
        if secret.len() < SHORTEST_IN_FORMS {
            return all;
        }
        all.extend(self.forms.iter().map(|form| form(secret)));
        all.push(utf8_percent_encode(secret, UNRESERVED).to_string());
        let quoted = serde_json::Value::from(secret).to_string();
        all.push(quoted[1..quoted.len() - 1].to_owned());
        all.extend((0..3).flat_map(|offset| in_base64(secret, offset)));
        all
    }

    /// The text with every known secret replaced by `***`, also where it is encoded.
    #[must_use]
    pub fn redact(&self, text: &str) -> String {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.written.iter().filter(|secret| text.contains(secret.as_str()));
        found.fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), "***"))
    }
}

/// What is certain of the base64 of a text in which the secret begins `offset` bytes (modulo 3) after the start; in both
/// alphabets. The characters at either end depend on the neighbours as well.
fn in_base64(secret: &str, offset: usize) -> [String; 2] {
    let bytes = [&[0; 2][..offset], secret.as_bytes()].concat();
    let first = [0, 2, 3][offset];
    let whole = bytes.len() / 3 * 4;
    let certain = whole + [0, 1, 2][bytes.len() % 3];
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)].map(|coded| coded[first..certain].to_owned())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use proptest::prelude::*;

    use super::Masks;

    #[test]
    fn replaces_every_line_of_a_secret_longest_first() {
        let masks = Masks::default();
        assert_eq!(masks.add("hunter\nhunter-two\n\n"), ["hunter", "hunter-two"]);
        assert!(masks.add("hunter").is_empty());
        assert_eq!(masks.redact("a hunter-two b hunter c"), "a *** b *** c");
    }

    #[test]
    fn knows_a_secret_in_other_clothes() {
        let masks = Masks::with_forms(&[|text| text.replace('_', "\\_")]);
        masks.add("ghs_\"a b/c+d\"");
        let forms = ["ghs\\_\"a b/c+d\"", "ghs_%22a%20b%2Fc%2Bd%22", "ghs_\\\"a b/c+d\\\""];
        for form in forms {
            assert_eq!(masks.redact(&format!("x{form}y")), "x***y", "{form}");
        }
        assert_eq!(format!("{masks:?}"), "Masks(***)");
    }

    #[test]
    fn short_words_are_left_alone() {
        let masks = Masks::default();
        masks.add("yes");
        masks.add("admin");
        let text = "yes, admin: YWRtaW4=";
        assert_eq!(masks.redact(text), "yes, ***: YWRtaW4=");
    }

    proptest! {
        #[test]
        fn base64_hides_nothing_whatever_stands_around_it(
            before in "[ -~]{0,9}", secret in "[ -~é]{12,60}", after in "[ -~]{0,9}",
        ) {
            prop_assume!(secret.trim() == secret);
            let masks = Masks::default();
            masks.add(&secret);
            let text = format!("{before}{secret}{after}");
            for coded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                let shown = masks.redact(&coded);
                prop_assert!(shown.contains("***"), "{coded}");
                // What is left tells no more than a character at either end.
                let left = shown.len() - "***".len();
                prop_assert!(left <= (before.len() + after.len()) * 4 / 3 + 10, "{shown} of {coded}");
            }
        }
    }
}
