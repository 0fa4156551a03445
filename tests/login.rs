//! `login` as the runner runs it: the real binary against the fake world, and against a real registry.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may end by panicking")]

mod support;
mod world;

#[path = "login/aws.rs"]
mod aws;
#[path = "login/bad_input.rs"]
mod bad_input;
#[path = "login/moto.rs"]
mod moto;
#[path = "login/registries.rs"]
mod registries;

use support::{Landfall, Outcome};
use world::World;
use world::sts::Role;

/// `login` in a job that may get OIDC tokens.
fn with_token(world: &World) -> Landfall {
    Landfall::new("login").envs(world.oidc_env()).input("role_to_assume", arn("deploy"))
}

/// `login` in a job whose environment has keys.
fn with_keys(world: &World) -> Landfall {
    Landfall::new("login").envs(world.aws_env())
}

fn arn(role: &str) -> String {
    format!("arn:aws:iam::123456789012:role/{role}")
}

/// A role that trusts the job's tokens.
fn trusting(world: &World) -> Role {
    Role::for_subject(&world.state().oidc.subject.clone())
}

/// A variable as later steps get it.
fn exported<'a>(outcome: &'a Outcome, name: &str) -> Option<&'a str> {
    outcome.exported.iter().rfind(|(known, _)| known == name).map(|(_, value)| value.as_str())
}
