//! Archives of other runs and other people: zip lists, image tars, and tars that are unpacked.

use landfall::domain::image_tar::ImageTar;
use landfall::domain::zip::{self, Tail};
use landfall::services::toolbox;

/// Nothing leaves its folder, grows beyond its limit, or depends on the pieces in which it arrives.
pub(crate) fn run(data: &[u8]) {
    let size = data.len() as u64;
    if let Ok(Tail::Files(files)) = zip::read_tail(data, size) {
        assert!(files.iter().all(|file| !zip::leads_out(&file.name) && file.offset < size));
    }
    let mut whole = ImageTar::new();
    let at_once = whole.feed(data).and_then(|()| whole.finish());
    let mut parts = ImageTar::new();
    let in_parts = data.chunks(7).try_for_each(|part| parts.feed(part)).and_then(|()| parts.finish());
    assert_eq!(at_once.ok(), in_parts.ok());
    unpack(data);
}

fn unpack(data: &[u8]) {
    const LIMIT: u64 = 10_000;
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().max_blocking_threads(1).build().unwrap();
    let inside = folder.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    let unpacked = runtime.block_on(toolbox::unpack(data, &inside.join("taken"), LIMIT));
    let beside: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(beside, ["inside"], "something lies outside");
    let left: Vec<_> = std::fs::read_dir(&inside).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty() || left == ["taken"], "{left:?}");
    assert!(unpacked.is_ok() || left.is_empty(), "a part is left behind");
}
