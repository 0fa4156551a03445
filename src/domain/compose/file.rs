//! Purpose: a compose file as it is written.

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::shape::{Form, Forms, Keys, Listed, Merge, Names, Scalar, Texts, merge};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// Obsolete; every version means the same.
    #[serde(rename = "version")]
    _version: Option<IgnoredAny>,
    /// The project's name; ours is our own, so that nothing is mixed up.
    #[serde(rename = "name")]
    _name: Option<IgnoredAny>,
    pub(super) services: Option<Names<Keys<ServiceFile>>>,
    pub(super) volumes: Option<Names<Option<Keys<VolumeFile>>>>,
    pub(super) networks: Option<Names<Option<Keys<NetworkFile>>>>,
}

merge!(File { services, volumes, networks });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct VolumeFile {
    pub(super) driver: Option<Scalar>,
}

merge!(VolumeFile { driver });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NetworkFile {
    pub(super) external: Option<bool>,
    pub(super) name: Option<Scalar>,
    pub(super) driver: Option<Scalar>,
}

merge!(NetworkFile { external, name, driver });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct ServiceFile {
    pub(super) image: Option<Scalar>,
    pub(super) environment: Option<Listed<Option<Scalar>>>,
    pub(super) env_file: Option<Forms<EnvFileFile>>,
    pub(super) ports: Option<Forms<PortFile>>,
    pub(super) command: Option<Texts>,
    pub(super) entrypoint: Option<Texts>,
    pub(super) depends_on: Option<Listed<Keys<DependencyFile>>>,
    pub(super) healthcheck: Option<Keys<HealthFile>>,
    pub(super) volumes: Option<Forms<MountFile>>,
    pub(super) networks: Option<Listed<Option<Keys<NetworkUse>>>>,
}

merge!(ServiceFile {
    image,
    environment,
    env_file,
    ports,
    command,
    entrypoint,
    depends_on,
    healthcheck,
    volumes,
    networks,
});

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct EnvFileFile {
    pub(super) path: Option<Scalar>,
    pub(super) required: Option<bool>,
}

merge!(EnvFileFile { path, required });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct PortFile {
    pub(super) target: Option<Scalar>,
    pub(super) published: Option<Scalar>,
    pub(super) host_ip: Option<Scalar>,
    pub(super) protocol: Option<Scalar>,
    pub(super) mode: Option<Scalar>,
    /// For people.
    pub(super) name: Option<IgnoredAny>,
    /// For people.
    pub(super) app_protocol: Option<IgnoredAny>,
}

merge!(PortFile { target, published, host_ip, protocol, mode, name, app_protocol });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct MountFile {
    #[serde(rename = "type")]
    pub(super) kind: Option<Scalar>,
    pub(super) source: Option<Scalar>,
    pub(super) target: Option<Scalar>,
    pub(super) read_only: Option<bool>,
}

merge!(MountFile { kind, source, target, read_only });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DependencyFile {
    pub(super) condition: Option<Scalar>,
    pub(super) required: Option<bool>,
    /// About restarts by hand, of which there are none.
    pub(super) restart: Option<bool>,
}

merge!(DependencyFile { condition, required, restart });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NetworkUse {
    pub(super) aliases: Option<Vec<String>>,
}

merge!(NetworkUse { aliases });

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct HealthFile {
    pub(super) test: Option<Texts>,
    pub(super) interval: Option<Scalar>,
    pub(super) timeout: Option<Scalar>,
    pub(super) retries: Option<Scalar>,
    pub(super) start_period: Option<Scalar>,
    pub(super) start_interval: Option<Scalar>,
    pub(super) disable: Option<bool>,
}

merge!(HealthFile { test, interval, timeout, retries, start_period, start_interval, disable });

impl<T> Form<T> {
    /// Both forms as one value.
    pub(super) fn either<R>(&self, short: impl FnOnce(&str) -> R, long: impl FnOnce(&T) -> R) -> R {
        match self {
            Self::Short(text) => short(text),
            Self::Long(value) => long(value),
        }
    }
}
