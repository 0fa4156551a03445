//! Purpose: which HTTP statuses count as healthy.

pub mod verdict;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Statuses, as single ones and ranges: `200-299,404`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusRanges(Vec<RangeInclusive<u16>>);

/// A text is no list of statuses. The message fits behind "health_status …".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is '{0}', which is not a list of HTTP statuses; use for example 200-399 or 200,204")]
pub struct StatusError(String);

impl StatusRanges {
    /// Whether a status counts as healthy.
    #[must_use]
    pub fn contains(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl Default for StatusRanges {
    /// Everything that is no error: 200 to 399.
    fn default() -> Self {
        Self(vec![200..=399])
    }
}

impl FromStr for StatusRanges {
    type Err = StatusError;

    fn from_str(text: &str) -> Result<Self, StatusError> {
        let wrong = || StatusError(text.to_owned());
        let status = |text: &str| -> Result<u16, StatusError> {
            let number: u16 = text.trim().parse().map_err(|_| wrong())?;
            if (100..=599).contains(&number) { Ok(number) } else { Err(wrong()) }
        };
        let mut ranges = Vec::new();
        for part in text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty()) {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = status(first)?..=status(last)?;
            if range.is_empty() {
                return Err(wrong());
            }
            ranges.push(range);
        }
        if ranges.is_empty() { Err(wrong()) } else { Ok(Self(ranges)) }
    }
}

impl fmt::Display for StatusRanges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts: Vec<String> = self
            .0
            .iter()
            .map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            })
            .collect();
        f.write_str(&parts.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_single_statuses() {
        let ranges: StatusRanges = "200-299, 404".parse().unwrap();
        assert_eq!([199, 200, 299, 300, 404].map(|status| ranges.contains(status)), [false, true, true, false, true]);
        assert_eq!(ranges.to_string(), "200-299,404");
        for wrong in ["", "20", "600", "300-200", "200-", "ok", "200-3xx", "-200"] {
            assert!(wrong.parse::<StatusRanges>().is_err(), "{wrong}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_shown_reads_back(parts in proptest::collection::vec((100..600_u16, 0..50_u16), 1..5)) {
            let text: Vec<String> = parts.iter().map(|(first, more)| format!("{first}-{}", (first + more).min(599))).collect();
            let ranges: StatusRanges = text.join(",").parse().unwrap();
            proptest::prop_assert_eq!(ranges.to_string().parse::<StatusRanges>().unwrap(), ranges);
        }
    }
}
