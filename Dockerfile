# The action's image: one static binary and the CA bundle. No shell, no package manager, no libc.
#
#   docker build .                               compiles on rust:alpine
#   docker build --build-arg BINARY=prebuilt .   packs dist/<arch>/, prepared outside (`make image`); pulls nothing
#
# The binary has a second name, landfall-post: the runner starts an action's last stage by another entry point only.
# There is no `# syntax=` line, because that would be a pull. A builder without BuildKit runs every stage up to the target
# whether needed or not; `--target prebuilt` keeps it away from the compiler.
ARG BINARY=compiled

FROM scratch AS prebuilt
ARG TARGETARCH
COPY dist/${TARGETARCH:-amd64}/ /
ENTRYPOINT ["/landfall"]

# Pinned by version, the one of rust-toolchain.toml. A release pins the digest too: it is the registry's to tell, so the
# release workflow writes it, and Dependabot renews both.
FROM rust:1.95.0-alpine3.23 AS compiler
# Alpine keeps one version of a package per release, so the base image's tag is the pin.
# hadolint ignore=DL3018
RUN apk add --no-cache build-base ca-certificates-bundle
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY tests tests
# musl is linked statically by default on this target. Packed relocations, and no tables for unwinding: see scripts/image.
RUN RUSTFLAGS="-C link-arg=-Wl,-z,pack-relative-relocs" cargo build --locked --release --bin landfall && \
    mkdir -p /out/etc/ssl/certs && cp target/release/landfall /out/ && \
    strip --remove-section=.eh_frame --remove-section=.eh_frame_hdr --remove-section=.gcc_except_table /out/landfall && ln -s landfall /out/landfall-post && \
    cp /etc/ssl/certs/ca-certificates.crt /out/etc/ssl/certs/

FROM scratch AS compiled
COPY --from=compiler /out/ /
ENTRYPOINT ["/landfall"]

# The runner ignores USER other than root: workspace and file commands belong to root inside the container.
# hadolint ignore=DL3006
FROM ${BINARY}
LABEL org.opencontainers.image.title="landfall" \
      org.opencontainers.image.description="Carries a commit to a running service: a GitHub Action in one static binary" \
      org.opencontainers.image.source="https://github.com/landfall-ci/landfall" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
