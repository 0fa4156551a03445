//! The map of the house.
//!
//! Data comes in at one door, the runner's environment, walks once through the house (inputs → plan → apply →
//! outputs) and leaves by one door, the runner's files and log. Nothing walks back.
//!
//! - [`runner`] is both doors: the Actions runner's protocol, and only it.
//! - [`contract`] turns a command's types into parsing, flags, `action.yml` and reference pages.
//! - [`config`] is `landfall.yml`.
//! - [`domain`] decides: pure functions over plain data.
//! - [`services`] talk to the outside world behind narrow types.
//! - [`commands`] put these together, four steps each: inputs, plan, apply, outputs.
//!
//! Arrows point one way: commands → services → domain; domain and runner know nobody.

pub mod commands;
pub mod config;
pub mod contract;
pub mod domain;
pub mod runner;
pub mod services;
