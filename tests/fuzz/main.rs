//! The fuzz targets over their seeds: what a fuzzer starts from, and what it once found, must hold in every test run.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests are free to panic"
)]

use std::path::{Path, PathBuf};

mod archives;
mod config;
mod event;
mod ignore;
mod inputs;
mod log;
mod manifest;
mod outputs;
mod packets;
mod reports;
mod task_definition;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 11] = [
    ("archives", archives::run),
    ("config", config::run),
    ("event", event::run),
    ("ignore", ignore::run),
    ("inputs", inputs::run),
    ("log", log::run),
    ("manifest", manifest::run),
    ("outputs", outputs::run),
    ("packets", packets::run),
    ("reports", reports::run),
    ("task_definition", task_definition::run),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// Every seed, then every seed cut short at a few places: what is damaged is the commonest hostile input.
#[test]
fn every_seed_holds() {
    for (name, target) in TARGETS {
        let seeds = files(&root().join("tests/fuzz/seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has no seed");
        for seed in seeds {
            println!("{}", seed.display());
            let content = std::fs::read(&seed).unwrap();
            target(&content);
            for eighth in 1..8 {
                target(&content[..content.len() * eighth / 8]);
            }
        }
    }
}

#[test]
fn every_target_has_its_program() {
    let programs = files(&root().join("fuzz/targets"));
    let programs: Vec<_> = programs.iter().map(|path| path.file_stem().unwrap().to_str().unwrap()).collect();
    assert_eq!(programs, TARGETS.map(|(name, _)| name));
    let manifest = std::fs::read_to_string(root().join("fuzz/Cargo.toml")).unwrap();
    for name in programs {
        assert!(manifest.contains(&format!("name = \"{name}\"\npath = \"targets/{name}.rs\"")), "{name}");
    }
}
