//! Purpose: the value types of inputs, each with the contract's grammar.
//!
//! All of them read from a string, which is what the runner hands over; the ones that a config file may hold read
//! from its native form as well.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Implements `JsonSchema` for a value type by its kind.
macro_rules! kind {
    ($type:ty, $name:literal, $schema:tt) => {
        impl JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

/// A boolean of YAML 1.2's core schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Flag(pub bool);

kind!(Flag, "Flag", { "type": "boolean", "x-kind": "flag" });

impl std::str::FromStr for Flag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "true" | "True" | "TRUE" => Ok(Self(true)),
            "false" | "False" | "FALSE" => Ok(Self(false)),
            other => Err(format!("is '{other}', which is not a boolean; use true or false")),
        }
    }
}

/// A list: newlines or commas separate, `#` starts a comment line.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct List(pub Vec<String>);

kind!(List, "List", { "type": "array", "items": { "type": "string" }, "x-kind": "list" });

impl std::str::FromStr for List {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = lines(text).flat_map(|line| line.split(',')).map(str::trim).filter(|entry| !entry.is_empty());
        Ok(Self(entries.map(str::to_owned).collect()))
    }
}

/// One entry a line, commas and all: for values that may hold commas themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Lines(pub Vec<String>);

kind!(Lines, "Lines", { "type": "array", "items": { "type": "string" }, "x-kind": "lines" });

impl std::str::FromStr for Lines {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(lines(text).map(str::to_owned).collect()))
    }
}

/// A map: one `key=value` per line, split at the first `=`. Order is kept; a later key wins over an earlier one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Map(pub Vec<(String, String)>);

kind!(Map, "Map", { "type": "object", "additionalProperties": { "type": "string" }, "x-kind": "map" });

impl std::str::FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut map = Self::default();
        for line in lines(text) {
            let (key, value) = line
                .split_once('=')
                .filter(|(key, _)| !key.trim().is_empty())
                // The line itself may be a secret: name its place instead of quoting it.
                .ok_or_else(|| "has a line that is not key=value".to_owned())?;
            map.set(key.trim(), value);
        }
        Ok(map)
    }
}

impl Map {
    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, key: &str, value: &str) {
        self.0.retain(|(name, _)| name != key);
        self.0.push((key.to_owned(), value.to_owned()));
    }
}

impl serde::Serialize for Map {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, value)))
    }
}

/// A duration such as `90s`, `15m`, `48h` or `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

kind!(Span, "Span", { "type": "string", "x-kind": "duration" });

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("is '{text}', which is not a duration; use for example 90s, 15m, 48h or 7d");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let factor = match unit {
            "ms" => return Ok(Self(Duration::from_millis(number))),
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(|seconds| Self(Duration::from_secs(seconds))).ok_or_else(wrong)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            _ if self.0.subsec_millis() != 0 => write!(f, "{}ms", self.0.as_millis()),
            0 => f.write_str("0s"),
            _ if seconds.is_multiple_of(86_400) => write!(f, "{}d", seconds / 86_400),
            _ if seconds.is_multiple_of(3600) => write!(f, "{}h", seconds / 3600),
            _ if seconds.is_multiple_of(60) => write!(f, "{}m", seconds / 60),
            _ => write!(f, "{seconds}s"),
        }
    }
}

impl serde::Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A size such as `500MB` (decimal) or `1GiB` (binary), in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(transparent)]
pub struct Size(pub u64);

kind!(Size, "Size", { "type": "string", "x-kind": "size" });

impl std::str::FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("is '{text}', which is not a size; use for example 500MB or 1GiB");
        let (number, unit) = number_and_unit(text).ok_or_else(wrong)?;
        let factor: u64 = match unit.to_ascii_lowercase().as_str() {
            "b" => 1,
            "kb" => 1000,
            "mb" => 1000 * 1000,
            "gb" => 1000 * 1000 * 1000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(wrong)
    }
}

/// A share such as `5%` or `2.5`, in percent.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, serde::Serialize)]
#[serde(transparent)]
pub struct Percent(pub f64);

kind!(Percent, "Percent", { "type": ["string", "number"], "x-kind": "percentage" });

impl std::str::FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().trim_end_matches('%').trim_end();
        let plain = !number.is_empty() && number.chars().all(|c| c.is_ascii_digit() || c == '.');
        let value = number.parse().ok().filter(|value: &f64| plain && value.is_finite());
        value.map(Self).ok_or_else(|| format!("is '{text}', which is not a percentage; use for example 5% or 2.5%"))
    }
}

/// A secret text: masked before anything is printed, and hidden in every debug output.
#[derive(Debug, Clone)]
pub struct Secret(pub secrecy::SecretString);

kind!(Secret, "Secret", { "type": "string", "x-kind": "secret", "x-secret": true });

impl std::str::FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(text.into()))
    }
}

/// A whole number that is not negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(transparent)]
pub struct Count(pub u64);

kind!(Count, "Count", { "type": "integer", "minimum": 0, "x-kind": "number" });

impl std::str::FromStr for Count {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|_| format!("is '{text}', which is not a whole number"))
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

fn number_and_unit(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(end);
    Some((number.parse().ok()?, unit.trim()))
}

/// Reads any of the value types: a string through its grammar, a native scalar through its text, a sequence as lines,
/// a mapping as `key=value` lines.
struct Native;

impl<'de> Visitor<'de> for Native {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, number, boolean, list or map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some(Scalar(entry)) = sequence.next_element()? {
            text.push_str(&entry);
            text.push('\n');
        }
        Ok(text)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<String, A::Error> {
        let mut text = String::new();
        while let Some((Scalar(key), Scalar(value))) = map.next_entry()? {
            text.push_str(&format!("{key}={value}\n"));
        }
        Ok(text)
    }
}

/// Reads any scalar, list or map in the text form that inputs have.
///
/// # Errors
/// Those of the deserializer.
pub fn text_form<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(Native)
}

struct Scalar(String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text_form(deserializer).map(Self)
    }
}

macro_rules! from_text {
    ($($type:ty),*) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                text_form(deserializer)?.parse().map_err(D::Error::custom)
            }
        })*
    };
}

from_text!(Flag, List, Lines, Map, Span, Size, Percent, Secret, Count);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_yaml_core() {
        assert_eq!("TRUE".parse(), Ok(Flag(true)));
        assert_eq!("False".parse(), Ok(Flag(false)));
        for wrong in ["yes", "1", "tRue", "on"] {
            assert!(wrong.parse::<Flag>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lists_take_newlines_commas_and_comments() {
        let List(entries) = "a, b\n# no\n\n c ,,d ".parse().unwrap();
        assert_eq!(entries, ["a", "b", "c", "d"]);
    }

    #[test]
    fn maps_split_at_the_first_equals_and_never_quote_a_wrong_line() {
        let map: Map = "A=b=c\nB=\n# x=y\nA=2".parse().unwrap();
        assert_eq!(map.0, [("B".to_owned(), String::new()), ("A".to_owned(), "2".to_owned())]);
        assert!(!"hunter2".parse::<Map>().unwrap_err().contains("hunter2"));
    }

    #[test]
    fn durations_and_sizes() {
        assert_eq!("15m".parse::<Span>().unwrap().0, Duration::from_secs(900));
        assert_eq!("7d".parse::<Span>().unwrap().to_string(), "7d");
        assert_eq!("1GiB".parse(), Ok(Size(1 << 30)));
        assert_eq!("500MB".parse(), Ok(Size(500_000_000)));
        assert_eq!("2.5%".parse(), Ok(Percent(2.5)));
        assert_eq!("5 %".parse(), Ok(Percent(5.0)));
        for wrong in ["", "%", "-1%", "inf", "1e3", "5%x", "NaN"] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
        for wrong in ["", "15", "m", "-1s", "99999999999999999999d", "1.5h", "1y"] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn native_forms_read_like_text() {
        assert_eq!(serde_yaml::from_str::<List>("[a, b]").unwrap(), "a,b".parse().unwrap());
        assert_eq!(serde_yaml::from_str::<Map>("{A: 1}").unwrap(), "A=1".parse().unwrap());
        assert_eq!(serde_yaml::from_str::<Flag>("true").unwrap(), Flag(true));
    }
}
