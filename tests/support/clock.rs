//! Purpose: another time for the program under test: seconds that pass faster, a wall clock that is wrong.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

/// The library that is preloaded, built once per test program with the C compiler that links it, too.
static LIBRARY: LazyLock<PathBuf> = LazyLock::new(|| {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/clock.c");
    let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("clock-{}.so", std::process::id()));
    let mut compiler = Command::new("cc");
    let status = compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(&source).arg("-ldl").status();
    assert!(status.expect("a C compiler, as Rust itself needs one to link").success());
    library
});

/// Variables under which a process lives `pace` times as fast, `ahead` seconds in the future.
pub fn time(pace: u32, ahead: i64) -> Vec<(String, String)> {
    let set = [
        ("LD_PRELOAD", LIBRARY.to_string_lossy().into_owned()),
        ("LANDFALL_TEST_PACE", pace.to_string()),
        ("LANDFALL_TEST_AHEAD", ahead.to_string()),
    ];
    set.map(|(name, value)| (name.to_owned(), value)).into()
}
