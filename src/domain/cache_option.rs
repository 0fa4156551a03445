//! Purpose: where a build's cache comes from and goes to, as the fields of a record: `type=registry,ref=ghcr.io/acme/app:cache`.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::builder::CacheKind;

/// One place of a cache, in the form that BuildKit takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheEntry {
    /// `registry`, `gha`, `local`, `inline`, `s3`, `azblob`.
    pub kind: String,
    /// Its settings.
    pub attributes: BTreeMap<String, String>,
}

/// Why an entry cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CacheEntryError {
    /// A field without a value.
    #[error("has the field '{0}', which is not key=value")]
    Field(String),
    /// A quotation that does not end.
    #[error("has a quotation mark without its other half")]
    Quotation,
    /// No `type`.
    #[error("has no type: write type=registry,ref=… or type=gha")]
    NoType,
    /// A setting that its type cannot do without.
    #[error("has type={kind} without {field}")]
    Missing {
        /// The type.
        kind: String,
        /// The setting.
        field: &'static str,
    },
}

impl CacheEntry {
    /// Which kind of place it is.
    #[must_use]
    pub fn kind(&self) -> CacheKind {
        match self.kind.as_str() {
            "inline" => CacheKind::Inline,
            "registry" => CacheKind::Registry,
            "gha" => CacheKind::Gha,
            "local" => CacheKind::Local,
            _ => CacheKind::Other,
        }
    }

    /// Checks that an import names where it comes from.
    ///
    /// # Errors
    /// [`CacheEntryError::Missing`].
    pub fn as_import(self) -> Result<Self, CacheEntryError> {
        self.with("registry", "ref")?.with("local", "src")
    }

    /// Checks that an export names where it goes.
    ///
    /// # Errors
    /// [`CacheEntryError::Missing`].
    pub fn as_export(self) -> Result<Self, CacheEntryError> {
        self.with("registry", "ref")?.with("local", "dest")
    }

    fn with(self, kind: &str, field: &'static str) -> Result<Self, CacheEntryError> {
        if self.kind == kind && !self.attributes.contains_key(field) {
            return Err(CacheEntryError::Missing { kind: self.kind, field });
        }
        Ok(self)
    }

    /// Adds a setting that the user did not give.
    #[must_use]
    pub fn or(mut self, key: &str, value: impl Into<String>) -> Self {
        self.attributes.entry(key.to_owned()).or_insert_with(|| value.into());
        self
    }
}

impl FromStr for CacheEntry {
    type Err = CacheEntryError;

    /// Reads a record of fields. A reference alone means a registry.
    fn from_str(line: &str) -> Result<Self, CacheEntryError> {
        let mut attributes = BTreeMap::new();
        let fields = fields(line)?;
        if let [reference] = fields.as_slice()
            && !reference.contains('=')
        {
            attributes.insert("ref".to_owned(), reference.clone());
            return Ok(Self { kind: "registry".to_owned(), attributes });
        }
        for field in fields {
            let (key, value) = field.split_once('=').ok_or_else(|| CacheEntryError::Field(field.clone()))?;
            attributes.insert(key.trim().to_lowercase(), value.trim().to_owned());
        }
        let kind = attributes.remove("type").ok_or(CacheEntryError::NoType)?;
        Ok(Self { kind, attributes })
    }
}

/// The fields of a record: commas part them, quotation marks hold them together, two of those stand for one.
///
/// # Errors
/// [`CacheEntryError::Quotation`].
pub fn fields(line: &str) -> Result<Vec<String>, CacheEntryError> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                push(&mut fields, '"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            other => push(&mut fields, other),
        }
    }
    if quoted {
        return Err(CacheEntryError::Quotation);
    }
    let trimmed = fields.iter().map(|field| field.trim().to_owned());
    Ok(trimmed.filter(|field| !field.is_empty()).collect())
}

fn push(fields: &mut [String], character: char) {
    if let Some(last) = fields.last_mut() {
        last.push(character);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry(line: &str) -> CacheEntry {
        line.parse().unwrap()
    }

    #[test]
    fn records_are_read() {
        let found = entry("type=registry,ref=ghcr.io/acme/app:cache, mode=max");
        assert_eq!((found.kind.as_str(), found.kind()), ("registry", CacheKind::Registry));
        assert_eq!(found.attributes["ref"], "ghcr.io/acme/app:cache");
        assert_eq!(found.attributes["mode"], "max");
        assert_eq!(entry("ghcr.io/acme/app:cache"), entry("type=registry,ref=ghcr.io/acme/app:cache"));
        assert_eq!(entry("type=s3,\"prefix=a,b\"").attributes["prefix"], "a,b");
        assert_eq!(entry("type=gha").kind(), CacheKind::Gha);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        assert_eq!("mode=max".parse::<CacheEntry>(), Err(CacheEntryError::NoType));
        assert_eq!("type=gha,max".parse::<CacheEntry>(), Err(CacheEntryError::Field("max".into())));
        assert_eq!("type=gha,\"x=1".parse::<CacheEntry>(), Err(CacheEntryError::Quotation));
        assert!(entry("type=registry,mode=max").as_export().is_err());
        assert!(entry("type=local,dest=/x").as_import().is_err());
        assert!(entry("type=local,dest=/x").as_export().is_ok());
    }

    proptest! {
        #[test]
        fn quoted_fields_survive(values in proptest::collection::vec("[a-z,\" =]{1,8}", 1..5)) {
            let line: Vec<String> = values.iter().map(|value| format!("\"x{}x\"", value.replace('"', "\"\""))).collect();
            let expected: Vec<String> = values.iter().map(|value| format!("x{value}x")).collect();
            prop_assert_eq!(fields(&line.join(",")).unwrap(), expected);
        }
    }
}
