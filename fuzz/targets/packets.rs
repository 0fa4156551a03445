#![no_main]

#[path = "../../tests/fuzz/packets.rs"]
mod target;

libfuzzer_sys::fuzz_target!(|data: &[u8]| target::run(data));
