//! Purpose: the inputs of `build`.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::contract::values::{Count, Flag, Lines, List, Map, Secret, Size};
use crate::services::buildkit::RunNetwork;

/// Inputs of `build`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Inputs {
    /// Build context: a folder, relative to the workspace or to the root of `source`, or an address that the builder
    /// fetches (`https://github.com/acme/app.git#main:folder`). Default: the workspace.
    pub context: Option<String>,
    /// Build this instead of the workspace: `owner/repo@ref`, where ref is a branch, tag or commit.
    pub source: Option<String>,
    /// Token that can read `source`. Default: `github_token`.
    pub source_token: Option<Secret>,
    /// Dockerfile, relative to the context. Default: `Dockerfile`.
    pub file: Option<String>,
    /// Stage to build. Default: the last.
    pub target: Option<String>,
    /// Platforms to build for, such as `linux/arm64`; several are built side by side into one index. Default: the
    /// builder's own.
    pub platforms: Option<List>,
    /// Full references that the image gets, such as `ghcr.io/acme/app:v1`.
    pub tags: Option<List>,
    /// Labels of the image, `key=value`. `org.opencontainers.image.{revision,source,created}` are always set; yours win.
    pub labels: Option<Map>,
    /// Annotations of the manifest, `key=value`; `index:key=value` annotates the index, `index,manifest:key=value` both.
    pub annotations: Option<Map>,
    /// Values of `ARG`, `key=value`; a name alone takes its value from the environment.
    pub build_args: Option<Lines>,
    /// Secrets for `RUN --mount=type=secret`: `id=value`, `id=@file` or `id=$VARIABLE`.
    #[schemars(extend("x-secret" = true))]
    pub secrets: Option<Map>,
    /// SSH for `RUN --mount=type=ssh`: `default` (the agent at `SSH_AUTH_SOCK`), `id=` and the path of an agent's socket or of
    /// private keys (`default=deploy_key`), or `id=$VARIABLE` that holds a path or the key itself.
    pub ssh: Option<Lines>,
    /// Further contexts by name: `name=folder`, `name=docker-image://image`, `name=https://host/repo.git#ref`.
    pub build_contexts: Option<Map>,
    /// Where cached steps are imported from, one per line: `type=registry,ref=image:tag`, `type=gha`, `type=local,src=folder`, or an image.
    pub cache_from: Option<Lines>,
    /// Where cached steps are exported to, one per line: `type=registry,ref=image:tag,mode=max`, `type=gha,mode=max`,
    /// `type=local,dest=folder`, `type=inline`.
    pub cache_to: Option<Lines>,
    /// Push every tag. Default: false.
    pub push: Option<Flag>,
    /// Keep the image in the engine under its tags. Default: true unless `push`.
    pub load: Option<Flag>,
    /// Take no step from the cache. Default: false.
    pub no_cache: Option<Flag>,
    /// Stages whose steps are not taken from the cache.
    pub no_cache_filters: Option<List>,
    /// Look base images up in their registry even when the engine has them. Default: false.
    pub pull: Option<Flag>,
    /// Network of `RUN`: `default`, `host` or `none`. Default: default.
    pub network: Option<Network>,
    /// Lines of `/etc/hosts` for `RUN`: `name:address` or `name=address`.
    pub add_hosts: Option<List>,
    /// Size of `/dev/shm` for `RUN`. Default: the builder's, 64 MiB.
    pub shm_size: Option<Size>,
    /// Attach a provenance attestation: `max`, `min`, or BuildKit's settings for it. Default: none.
    pub provenance: Option<String>,
    /// Attach a bill of materials: `true`, or the image of a scanner. Default: none.
    pub sbom: Option<String>,
    /// Push by digest, without tags, for a later `merge`; `tags` then names repositories. Default: false.
    pub digest_only: Option<Flag>,
    /// Do nothing when the registry has all tags already. Default: false.
    pub skip_if_exists: Option<Flag>,
    /// Which BuildKit builds: `auto` (the engine's, or one in a container when that cannot do it), `engine`, `container`,
    /// `unix:///path` or `tcp://host:port`. Default: auto.
    pub builder: Option<String>,
    /// Folder with `ca.pem`, and `cert.pem` and `key.pem` when the builder at `tcp://…` wants them; it is then spoken to with TLS.
    pub builder_certs: Option<String>,
    /// Image of the builder container. Default: a pinned `moby/buildkit`.
    pub builder_image: Option<String>,
    /// Emulators for platforms that the builder does not run by itself: `auto`, `never`, or the image that installs them.
    /// Default: auto.
    pub qemu: Option<String>,
    /// Change a private copy of the source before the build, one per line: `go-module: <module>@<commit>`,
    /// `submodule: <path>@<commit>`, `replace: <file>:<regex>=<text>`, `command: <command line>`.
    pub update_reference: Option<Lines>,
    /// Image of the toolchain for `update_reference`: `command` runs in it, and `go-module` runs `go get` and
    /// `go mod tidy` in it, which brings go.sum up to date.
    pub tool_image: Option<String>,
    /// Also upload the image as a workflow artifact of this name.
    pub artifact: Option<String>,
    /// Also upload the digest of what was pushed as a workflow artifact of this name, which `merge` reads.
    pub digest_artifact: Option<String>,
    /// Command that is run in the built image; when it ends other than with 0 nothing is pushed.
    pub smoke: Option<String>,
    /// Largest size of the image in the engine, such as `500MB`; when it is larger nothing is pushed.
    pub max_size: Option<Size>,
    /// Treat the Dockerfile checks' warnings as failures. Default: false.
    pub lint: Option<Flag>,
    /// Pushes and existence questions are tried this often. Default: 5.
    pub attempts: Option<Count>,
}

/// The network of `RUN`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Network {
    /// The builder's own.
    Default,
    /// The builder's host's.
    Host,
    /// None.
    None,
}

impl Network {
    pub(super) fn of_run(self) -> RunNetwork {
        match self {
            Self::Default => RunNetwork::Sandbox,
            Self::Host => RunNetwork::Host,
            Self::None => RunNetwork::None,
        }
    }
}
