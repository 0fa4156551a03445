//! Purpose: the fake world and the harness, tested themselves: the AWS skins with the real clients, the rest with reqwest.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end by panicking, in its helpers as well")]

mod support;
mod world;

#[path = "world_self/actions.rs"]
mod actions;
#[path = "world_self/clients.rs"]
mod clients;
#[path = "world_self/deployments.rs"]
mod deployments;
#[path = "world_self/faults.rs"]
mod faults;
#[path = "world_self/github.rs"]
mod github;
#[path = "world_self/grammar.rs"]
mod grammar;
#[path = "world_self/harness.rs"]
mod harness;
#[path = "world_self/identity.rs"]
mod identity;
#[path = "world_self/registry.rs"]
mod registry;
#[path = "world_self/tasks.rs"]
mod tasks;
