# The commands of this repository. `make help` lists them; each is a small script below scripts/ with its own header.
.DEFAULT_GOAL := help
.PHONY: help bench bench-commands fuzz test test-builder lint generate demo image release-dry-run pictures parts parts-down

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

test: ## format, clippy and all tests, against a real engine, real registries and moto
	@scripts/test $(ARGS)

test-builder: ## builds in a builder container (IMAGE=… names it), which needs an image that can be pulled
	@scripts/test-builder $(IMAGE)

bench: ## builds side by side with docker buildx, medians of five (ARGS=… as scripts/bench --help says)
	@scripts/bench $(ARGS)

bench-commands: ## other commands beside what people run instead, then the pure engines' throughput
	@scripts/image prepare
	@cargo build --quiet --locked --example world
	@scripts/parts run scripts/bench-commands $(ARGS)
	@cargo run --quiet --locked --profile measure --example throughput

fuzz: ## look for input that breaks a reader or a promise (ARGS="--seconds 600 reports")
	@scripts/fuzz $(ARGS)

lint: ## actionlint, zizmor, hadolint, shellcheck, cargo deny
	@scripts/lint

generate: ## rewrite action.yml, reference pages and schema from the commands' types
	@scripts/generate

demo: ## build the action's image, then run a whole pipeline through it as GitHub's runner would
	@scripts/demo

image: ## build the static binary and pack it; prints both sizes
	@scripts/image

release-dry-run: ## everything a release does, on a clone and a registry of this machine
	@scripts/release dry-run

pictures: ## draw summaries and comments as GitHub shows them, into docs/pictures
	@scripts/pictures $(ARGS)

parts: ## start the engine, registries and moto, and leave them running (eval "$$(scripts/parts env)")
	@scripts/parts up

parts-down: ## end them
	@scripts/parts down
