//! Files that people write in YAML: the config, routes, compose files, ignore files.

use std::collections::BTreeMap;
use std::path::Path;

use landfall::config::{Config, ConfigError};
use landfall::domain::compose;
use landfall::domain::scan::IgnoreList;

/// Any text is a config or a clear error at a place in it.
pub(crate) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(error) = Config::parse(text, Path::new("landfall.yml")) {
        let ConfigError::Invalid { line, message, .. } = &error else { panic!("{error}") };
        assert!(*line >= 1 && *line <= text.lines().count() + 1 && !message.is_empty(), "{error}");
    }
    let _ = Config::parse_routes(text);
    let _ = compose::read(text, &BTreeMap::new(), &|name| (name.len() < 5).then(|| name.to_owned()));
    let _ = IgnoreList::yaml(text);
    let _ = IgnoreList::lines(text);
}
