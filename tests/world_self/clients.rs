//! Purpose: real clients pointed at a world, their own retries off.

use aws_sdk_ecs::config::retry::RetryConfig;
use aws_sdk_ecs::config::{BehaviorVersion, Credentials, Region, SharedCredentialsProvider};

use crate::world::{World, aws};

fn settings(world: &World, keys: Credentials) -> aws_config::SdkConfig {
    aws_config::SdkConfig::builder()
        .http_client(landfall::services::aws::http_client())
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(world.aws_url())
        .region(Region::new("eu-central-1"))
        .retry_config(RetryConfig::disabled())
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build()
}

fn static_keys() -> Credentials {
    Credentials::new(aws::STATIC_KEY_ID, aws::STATIC_SECRET, None, None, "test")
}

pub(crate) fn ecs(world: &World) -> aws_sdk_ecs::Client {
    ecs_as(world, static_keys())
}

pub(crate) fn ecs_as(world: &World, keys: Credentials) -> aws_sdk_ecs::Client {
    aws_sdk_ecs::Client::new(&settings(world, keys))
}

pub(crate) fn ecr(world: &World) -> aws_sdk_ecr::Client {
    aws_sdk_ecr::Client::new(&settings(world, static_keys()))
}

pub(crate) fn sts(world: &World) -> aws_sdk_sts::Client {
    aws_sdk_sts::Client::new(&settings(world, static_keys()))
}

/// One that follows no redirect and says who it is, as GitHub demands.
pub(crate) fn http() -> reqwest::Client {
    landfall::services::http::client().unwrap()
}
