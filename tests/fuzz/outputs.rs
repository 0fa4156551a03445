//! Outputs, state and variables, as the runner reads them back.

use landfall::runner::{Environment, Outputs, Random};

/// Names and values come out as they went in, whatever the value holds.
pub(crate) fn run(data: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("output");
    let variables = [("GITHUB_OUTPUT".into(), file.clone().into())];
    let environment = Environment::from_os(variables, [], "/".into(), "/tmp".into());
    let outputs = Outputs::of(&environment, Random::System);
    let text = String::from_utf8_lossy(data);
    let mut expected = Vec::new();
    for (at, value) in text.split('\u{1}').enumerate() {
        let (name, value) = value.split_once('\u{2}').unwrap_or(("value", value));
        let name = if at == 0 { name } else { "later" };
        if outputs.write([(name, value)]).is_ok() {
            expected.push((name.to_owned(), value.replace('\0', "\u{fffd}")));
        }
    }
    let written = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(read(&written), expected);
}

/// The runner's grammar, from its description.
fn read(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.split_inclusive('\n');
    while let Some(line) = lines.next() {
        let (name, delimiter) = line.trim_end_matches('\n').split_once("<<").unwrap();
        let body: String = lines.by_ref().take_while(|line| line.trim_end_matches('\n') != delimiter).collect();
        found.push((name.to_owned(), body.strip_suffix('\n').unwrap_or(&body).to_owned()));
    }
    found
}
