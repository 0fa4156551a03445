//! Purpose: matching of one name the way Go's `filepath.Match` does it, and its notion of a malformed pattern.
//!
//! Docker uses it twice: for the wildcards of `COPY`, and (matching against ".") to find malformed patterns. The latter
//! sees only as much of a pattern as the match looks at, which is why it is done in full here.

use super::glob::next_point;

/// The pattern is malformed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

/// Whether the name matches the whole pattern.
pub(super) fn matches(pattern: &[u8], name: &[u8]) -> Result<bool, Malformed> {
    let (mut pattern, mut name) = (pattern, name);
    'pattern: while !pattern.is_empty() {
        let (star, chunk, rest) = next_chunk(pattern);
        pattern = rest;
        if star && chunk.is_empty() {
            return Ok(!name.contains(&b'/'));
        }
        let fits = |after: &[u8]| after.is_empty() || !rest.is_empty();
        if let Some(after) = match_chunk(chunk, name)?
            && fits(after)
        {
            name = after;
            continue;
        }
        if star {
            let reach = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
            for skipped in 1..=reach {
                if let Some(after) = match_chunk(chunk, &name[skipped..])?
                    && fits(after)
                {
                    name = after;
                    continue 'pattern;
                }
            }
        }
        return Ok(false);
    }
    Ok(name.is_empty())
}

/// Whether a star stands in front, the part up to the next star, and the rest.
fn next_chunk(pattern: &[u8]) -> (bool, &[u8], &[u8]) {
    let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
    let pattern = &pattern[stars..];
    let mut in_class = false;
    let mut at = 0;
    while at < pattern.len() {
        match pattern[at] {
            b'\\' => at += 1,
            b'[' => in_class = true,
            b']' => in_class = false,
            b'*' if !in_class => break,
            _ => {}
        }
        at += 1;
    }
    let at = at.min(pattern.len());
    (stars > 0, &pattern[..at], &pattern[at..])
}

/// What is left of the text behind a match of the chunk at its start; `None` when it does not match.
fn match_chunk<'a>(chunk: &[u8], text: &'a [u8]) -> Result<Option<&'a [u8]>, Malformed> {
    let mut left = Some(text);
    let mut chunk = chunk;
    while let Some((first, tail)) = chunk.split_first() {
        left = left.filter(|text| !text.is_empty());
        let point = left.map(next_point);
        let advance = |matched: bool| left.zip(point).filter(|_| matched).map(|(text, (_, width))| &text[width..]);
        match first {
            b'[' => {
                let (matched, after) = match_class(tail, point.map_or(0, |(point, _)| point))?;
                left = advance(matched);
                chunk = after;
            }
            b'?' => {
                left = advance(point.is_some_and(|(point, _)| point != u32::from(b'/')));
                chunk = tail;
            }
            _ => {
                let (wanted, after) =
                    if *first == b'\\' { tail.split_first().ok_or(Malformed)? } else { (first, tail) };
                left = left.filter(|text| text.first() == Some(wanted)).map(|text| &text[1..]);
                chunk = after;
            }
        }
    }
    Ok(left)
}

/// Whether the class, read from behind its `[`, has the point; and what follows it.
fn match_class(text: &[u8], point: u32) -> Result<(bool, &[u8]), Malformed> {
    let mut rest = text.strip_prefix(b"^").unwrap_or(text);
    let negated = rest.len() < text.len();
    let (mut found, mut members) = (false, 0);
    loop {
        if let Some(after) = rest.strip_prefix(b"]")
            && members > 0
        {
            return Ok((found != negated, after));
        }
        let (low, tail) = member(rest)?;
        rest = tail;
        let mut high = low;
        if let Some(tail) = rest.strip_prefix(b"-") {
            (high, rest) = member(tail)?;
        }
        found |= (low..=high).contains(&point);
        members += 1;
    }
}

/// One member of a class; something must follow it.
fn member(text: &[u8]) -> Result<(u32, &[u8]), Malformed> {
    if matches!(text.first(), None | Some(b'-' | b']')) {
        return Err(Malformed);
    }
    let text = text.strip_prefix(b"\\").unwrap_or(text);
    if text.is_empty() {
        return Err(Malformed);
    }
    let (point, width) = next_point(text);
    let undecodable = point == 0xFFFD && width == 1;
    if undecodable || text.len() == width { Err(Malformed) } else { Ok((point, &text[width..])) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_like_go() {
        for (pattern, name, expected) in [
            ("abc", "abc", Ok(true)),
            ("conf-*", "conf-a", Ok(true)),
            ("a**b", "axyb", Ok(true)),
            ("a*", "ab/c", Ok(false)),
            ("a*b*c*d*e*/f", "axbxcxdxexxx/f", Ok(true)),
            ("a*b?c*x", "abxbbxdbxebxczzy", Ok(false)),
            ("[^a-c]?", "dx", Ok(true)),
            ("[^a-c]?", "bx", Ok(false)),
            ("a[^a]b", "a☺b", Ok(true)),
            ("a???b", "a☺b", Ok(false)),
            ("[*]", "*", Ok(true)),
            ("[\\]a]", "]", Ok(true)),
            ("\\*", "*", Ok(true)),
            ("\\*", "x", Ok(false)),
            ("*x", "xxx", Ok(true)),
            ("[", "a", Err(Malformed)),
            ("[x-]", "x", Err(Malformed)),
            ("a[", "ab", Err(Malformed)),
            ("\\", "a", Err(Malformed)),
            // Not looked at: the match ends before it.
            ("b*[", "a", Ok(false)),
        ] {
            assert_eq!(matches(pattern.as_bytes(), name.as_bytes()), expected, "{pattern} {name}");
        }
    }
}
