//! Manifests, indexes, snapshots and scanners' reports: JSON from registries and tools.

use landfall::domain::image_index;
use landfall::domain::reference::ImageRef;
use landfall::domain::retention::{Facts, Snapshot};
use landfall::domain::scan::TrivyReport;
use serde_json::Value;

/// Nothing that a registry sends stops us, and an index that we assemble reads back with the same children.
pub(crate) fn run(data: &[u8]) {
    let _ = Facts::read(data);
    let _ = Facts::created_text(data);
    let _ = Snapshot::read(data);
    if let Ok(report) = serde_json::from_slice::<TrivyReport>(data) {
        let _ = report.scan();
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(image) = text.parse::<ImageRef>()
    {
        assert_eq!(image.to_string().parse::<ImageRef>().unwrap(), image);
    }
    let Ok(body) = serde_json::from_slice::<Value>(data) else { return };
    let Some(children) = body.get("manifests").and_then(Value::as_array) else { return };
    let Ok(read) = Facts::read(data) else { return };
    if let Ok(index) = image_index::assemble(children, &[]) {
        let assembled = Facts::read(&index.body).unwrap();
        assert!(assembled.children.iter().all(|child| read.children.contains(child)));
    }
}
