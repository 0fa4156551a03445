//! Purpose: every decision, as pure functions over plain data.
//!
//! Nothing here performs I/O, awaits, reads the clock or the environment, or draws a random number; what a
//! decision needs is handed in. That is what lets the tests run each of them a million times.

pub mod artifact;
pub mod build_event;
pub mod build_log;
pub mod builder;
pub mod cache_option;
pub mod comment;
pub mod compose;
pub mod container;
pub mod dashboard;
pub mod diagnosis;
pub mod dispatch;
pub mod dockerfile;
pub mod ecs;
pub mod event;
pub mod freshness;
pub mod globs;
pub mod go_module;
pub mod handed_digest;
pub mod health;
pub mod hex;
pub mod ignore;
pub mod image_archive;
pub mod image_index;
pub mod image_tar;
pub mod ladder;
pub mod markdown;
pub mod metrics;
pub mod names;
pub mod notice;
pub mod pace;
pub mod permissions;
pub mod reference;
pub mod report;
pub mod retention;
pub mod rollout;
pub mod route;
pub mod scan;
pub mod shell;
pub mod slug;
pub mod ssh_key;
pub mod tags;
pub mod tailnet;
pub mod task_definition;
pub mod terraform;
pub mod update;
pub mod version;
pub mod version_file;
pub mod workflow_use;
pub mod zip;
