//! Purpose: finds the lines of a Dockerfile that a builder talks about without naming them.
//!
//! Older builders (BuildKit 0.8 in engine 20.10) say which instruction failed, not where it stands. Only the shape of a
//! Dockerfile is read here: comments, continuation lines, the escape directive. Where two instructions read the same, or
//! none does, no line is better than a wrong one.

/// One instruction with the lines that it spans.
struct Instruction {
    text: String,
    first_line: u32,
    last_line: u32,
}

/// First and last line (starting at 1) of the instruction that a step such as `[build 2/5] RUN make` came from.
#[must_use]
pub fn locate(dockerfile: &str, step: &str) -> Option<(u32, u32)> {
    let instruction = step.strip_prefix('[')?.split_once("] ")?.1;
    let wanted = squeezed(instruction);
    let all = instructions(dockerfile);
    let mut same = all.iter().filter(|found| squeezed(&found.text) == wanted);
    match (same.next(), same.next()) {
        (Some(only), None) => Some((only.first_line, only.last_line)),
        _ => None,
    }
}

/// The line in a message such as `dockerfile parse error line 3: unknown instruction`.
#[must_use]
pub fn line_in(message: &str) -> Option<u32> {
    let (_, rest) = message.split_once("dockerfile parse error ")?;
    let digits = rest.trim_start_matches("on ").strip_prefix("line ")?;
    digits.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The keyword in upper case, white space reduced to single spaces: as builders show instructions.
fn squeezed(instruction: &str) -> String {
    let mut words = instruction.split_whitespace();
    let keyword = words.next().unwrap_or_default().to_uppercase();
    words.fold(keyword, |text, word| text + " " + word)
}

fn instructions(dockerfile: &str) -> Vec<Instruction> {
    let escape = escape(dockerfile);
    let mut found: Vec<Instruction> = Vec::new();
    let mut continued = false;
    for (number, line) in (1..).zip(dockerfile.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (text, continues) = match line.strip_suffix(escape) {
            Some(text) => (text.trim_end(), true),
            None => (line, false),
        };
        match found.last_mut().filter(|_| continued) {
            Some(last) => {
                last.text.push(' ');
                last.text.push_str(text);
                last.last_line = number;
            }
            None => found.push(Instruction { text: text.to_owned(), first_line: number, last_line: number }),
        }
        continued = continues;
    }
    found
}

/// The character that continues a line: `\`, unless a directive at the top says otherwise.
fn escape(dockerfile: &str) -> char {
    for line in dockerfile.lines() {
        let Some((key, value)) = line.trim().strip_prefix('#').and_then(|directive| directive.split_once('=')) else {
            break;
        };
        if key.trim().eq_ignore_ascii_case("escape") {
            return value.trim().chars().next().unwrap_or('\\');
        }
    }
    '\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# syntax=docker/dockerfile:1\nFROM busybox AS build\n\nrun for i in 1 2; do \\\n    # why\n\n    echo $i; \\\n  done\nRUN true\nFROM build\nRUN true\nCOPY --from=build /a  /b\n";

    #[test]
    fn finds_an_instruction_over_its_lines() {
        assert_eq!(locate(TEXT, "[build 2/3] RUN for i in 1 2; do     echo $i;   done"), Some((4, 8)));
        assert_eq!(locate(TEXT, "[stage-1 2/2] COPY --from=build /a /b"), Some((12, 12)));
    }

    #[test]
    fn says_nothing_rather_than_something_wrong() {
        assert_eq!(locate(TEXT, "[build 3/3] RUN true"), None, "it stands there twice");
        assert_eq!(locate(TEXT, "[build 3/3] RUN false"), None);
        assert_eq!(locate(TEXT, "exporting to image"), None);
    }

    #[test]
    fn knows_the_escape_directive() {
        assert_eq!(locate("# escape=`\nFROM a\nRUN x `\n  y\n", "[2/2] RUN x y"), Some((3, 4)));
    }

    #[test]
    fn reads_the_line_of_a_syntax_error() {
        assert_eq!(line_in("failed to parse: dockerfile parse error line 2: unknown instruction: RUNN"), Some(2));
        assert_eq!(line_in("dockerfile parse error on line 12: unknown"), Some(12));
        assert_eq!(line_in("no such file, line 3"), None);
    }
}
