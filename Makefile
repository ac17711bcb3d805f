# Cutover. `make help` lists the targets; `make run` and `make test` need nothing but this file.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

TOOLS   := $(CURDIR)/.tools
VENV    := $(TOOLS)/venv
APPS    := $(TOOLS)/apps
ENVOY   ?= $(VENV)/bin/envoy
TARGET  := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)
WASM    := $(TARGET)/wasm32-wasip1/wasm/edge_guard.wasm
NATIVE  := $(TARGET)/fast/libedge_guard.so
# The form of the guard that `make run`, `make render` and `make test` use: wasm or native (docs/guard.md).
GUARD   ?= wasm
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
PACKAGES := redis-server postgresql rabbitmq-server libxml2-dev libssl-dev pkg-config wrk nghttp2-client haproxy python3-venv chromium rsync

# bindgen (behind libxml2, behind hurl) looks for libclang and for the compiler's own headers.
LIBCLANG := $(VENV)/lib/python3*/site-packages/clang/native
HURL_ENV = LIBCLANG_PATH="$$(echo $(LIBCLANG))" BINDGEN_EXTRA_CLANG_ARGS="-I$$(gcc -print-file-name=include)"

export ENVOY
export CUTOVER_VENV := $(VENV)
export CUTOVER_APPS := $(APPS)
export CUTOVER_GUARD := $(if $(filter native,$(GUARD)),$(NATIVE),$(WASM))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  \1\t\2/' | expand -t 14

.PHONY: setup
setup: $(TOOLS)/python.done $(TOOLS)/apps.done $(TOOLS)/rust.done $(TOOLS)/debian.done $(TOOLS)/node.done ## Install what the other targets need

$(TOOLS)/python.done: tools/python/requirements.txt tools/setup/python
	@tools/setup/python "$(VENV)" $<
	@touch $@

$(TOOLS)/apps.done: tools/python/apps.txt tools/setup/python
	@tools/setup/python "$(APPS)" $<
	@touch $@

$(TOOLS)/rust.done: rust-toolchain.toml tools/setup/rust
	@mkdir -p $(TOOLS)
	@tools/setup/rust "$(TOOLCHAIN)"
	@touch $@

$(TOOLS)/debian.done: Makefile tools/setup/debian
	@mkdir -p $(TOOLS)
	@tools/setup/debian $(PACKAGES)
	@touch $@

$(TOOLS)/node.done: apps/web/package-lock.json tools/setup/node
	@mkdir -p $(TOOLS)
	@tools/setup/node apps/web
	@touch $@

.PHONY: wasm
wasm: $(TOOLS)/rust.done ## Compile the guard to WebAssembly
	@cargo build --quiet --locked --package edge-guard --profile wasm --target wasm32-wasip1

.PHONY: native
native: $(TOOLS)/rust.done ## Compile the guard to a dynamic module for Envoy
	@cargo build --quiet --locked --package edge-guard --profile fast

.PHONY: build
build: $(GUARD) ## Compile the programs of `make run`
	@cargo build --locked --package cutover --package comparator --package authz-service --package auth --package users --package library --package image-service --package web --profile fast

# A machine without Node, or without a network for its packages, runs the edge all the same: the host of the pages answers 503 then.
.PHONY: run
run: $(TOOLS)/python.done build ## Start the whole edge on embedded stores; Ctrl-C stops it
	@[ -e apps/web/dist/index.html ] || ! command -v npm >/dev/null || $(MAKE) --no-print-directory pages \
		|| echo "the pages of the web application are not built; \`make pages\` builds them" >&2
	@exec $(TARGET)/fast/cutover run --venv "$(VENV)"

.PHONY: pages
pages: $(TOOLS)/node.done ## Build the web application into apps/web/dist
	@npm run build --prefix apps/web --silent -- --logLevel warn

.PHONY: web
web: $(TOOLS)/python.done pages build ## Start the web application beside its API, over TLS; Ctrl-C stops it
	@exec $(TARGET)/fast/cutover run envoy/edges/web.yaml --venv "$(VENV)"

.PHONY: release
release: wasm ## Put the programs of an edge into one directory that runs anywhere, target/release-like
	@cargo build --quiet --locked --package cutover --package comparator --package authz-service --profile fast
	@tools/release "$(TARGET)/release-like" "$(TARGET)/fast" "$(WASM)"

# What a guard can break, and so runs with either form of it.
GUARDED := package(contract-suite) or (package(harness) and (test(/^(leases[a-z_]*|cors|sign_in|websocket_tokens|every_refusal|stream_ends|guard|draining|headers|header_case|paths|request_ids|names|path_agreement|route_forms|older_clients|framing|trusted_proxies|proxy_protocol|proxied_redirects|balancer|prod_attacks|observing)::/) or test(with_leases_authorizers_are_restarted)))

.PHONY: test
test: setup pages wasm native ## Run every test against the real parts
	@$(HURL_ENV) cargo build --locked --workspace --exclude edge-guard --bins --tests
	@$(HURL_ENV) cargo nextest run --locked --workspace --exclude edge-guard --no-fail-fast
	@$(HURL_ENV) CUTOVER_GUARD=$(NATIVE) cargo nextest run --locked --workspace --exclude edge-guard --no-fail-fast -E '$(GUARDED)'
	@cargo test --quiet --locked --workspace --exclude edge-guard --exclude contract-suite --doc

# Spectral and Schemathesis take a minute or two to install, so only the targets that need them do it.
$(TOOLS)/openapi.done: tools/openapi-aggregate/lint/package-lock.json tools/openapi-aggregate/requirements.txt tools/setup/openapi
	@tools/setup/openapi "$(TOOLS)" tools/openapi-aggregate
	@touch $@

.PHONY: openapi
openapi: setup wasm $(TOOLS)/openapi.done ## Lint the public OpenAPI document, test every answer against it, write dist/openapi
	@cargo run --quiet --locked --package openapi-aggregate -- check
	@cargo run --quiet --locked --package openapi-aggregate -- page
	@$(TOOLS)/openapi-lint/node_modules/.bin/spectral lint --quiet --fail-severity warn --ruleset tools/openapi-aggregate/lint/rules.yaml contracts/openapi/public.yaml
	@$(HURL_ENV) cargo build --locked --workspace --exclude edge-guard --bins --tests
	@$(HURL_ENV) cargo nextest run --locked --workspace --exclude edge-guard --run-ignored only -E 'package(harness) and test(/^openapi_answers::/)'

.PHONY: contracts
contracts: setup pages wasm native openapi ## Run the tests of each promise; print promise, result and tests. P="P1 P4" narrows it
	@$(HURL_ENV) cargo build --locked --workspace --exclude edge-guard --bins --tests
	@$(HURL_ENV) tools/contracts $(P)

.PHONY: bench
bench: setup wasm native ## Bare Envoy and the edge side by side in one run; BENCH="--help" shows how to narrow it
	@cargo build --locked --package bench --package cutover --package authz-service --package auth --package users --package library --package image-service --package web --profile fast
	@cargo bench --quiet --locked --package authz-service --profile fast --bench decision
	@$(TARGET)/fast/bench $(BENCH)

.PHONY: check
check: $(TOOLS)/python.done $(TOOLS)/rust.done ## Formatting, lints, dependency policy, edge files
	@cargo fmt --all --check
	@cargo clippy --quiet --locked --all-targets -- --deny warnings
	@cargo clippy --quiet --locked --package edge-guard --target wasm32-wasip1 -- --deny warnings
	@cargo clippy --quiet --locked --package edge-guard -- --deny warnings
	@tools/setup/deny
	@cargo run --quiet --locked --package layers -- authz-service packages/comparison packages/contract packages/edge-config packages/events services/auth services/image services/kit services/library services/notifications services/sync services/tenants services/users services/web tools/cutover tools/db-migrate wasm-filters/edge-guard
	@cargo run --quiet --locked --package openapi-aggregate -- check
	@cargo run --quiet --locked --package cutover -- lint $(filter-out %.tenants.yaml %.run.yaml,$(wildcard envoy/edges/*.yaml))

.PHONY: render
render: $(GUARD) ## Render envoy/edges/dev.yaml into .run/envoy and let Envoy validate it
	@cargo run --quiet --locked --package cutover -- render --validate

.PHONY: fmt
fmt: ## Format the code
	@cargo fmt --all

.PHONY: clean
clean: ## Remove what builds and runs leave behind
	@rm -rf .run $(TOOLS) target apps/web/dist apps/web/node_modules
