# What there is to do here: `make demo | test | test-services | lint | bench | fuzz | soak | conformance`.
# Needed: Linux or macOS, Python 3.11 or later, Rust (rustup.rs) and a C compiler. All else goes into .venv.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(CURDIR)/.venv/bin:$(HOME)/.cargo/bin:$(PATH)
export VIRTUAL_ENV := $(CURDIR)/.venv

SYNCED := .venv/.synced
BUILT := .venv/.built
RELEASED := .venv-bench/.built
RUST := Cargo.toml Cargo.lock $(shell find crates -name '*.rs' -o -name Cargo.toml)
PYTHON := $(shell find python bench tests examples -name '*.py' 2>/dev/null)

# System tests that measure nothing: they may run beside others.
TOGETHER := $(patsubst %,tests/system/test_%.py,probes access_log authority bodiless conditions examples explain fields \
	forwarded framing hop_by_hop httpoxy leaks paths refusals truncated unread_body ways_around upstream_pool rate_limit targets \
	balancing outliers tls_config reviews remembered policy_bodies)

.PHONY: help build demo test test-services lint format bench fuzz soak conformance clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

build: $(BUILT) ## the environment, with Pylos built into it

demo: $(BUILT) ## sample services and a gateway in front of them
	@exec pylos demo

test: $(BUILT) ## all tests that need no other server
	cargo test --locked
	pytest -n auto tests/unit tests/golden $(TOGETHER) -m "not services"
	pytest tests/system $(addprefix --ignore=,$(TOGETHER)) -m "not services"

test-services: $(BUILT) ## the tests that need nginx, HAProxy, slowhttptest or Pebble
	.ci/need nginx nginx-light
	.ci/need haproxy haproxy
	.ci/need slowhttptest slowhttptest
	pytest tests -m services

lint: $(BUILT) ## style, types, layers
	ruff check
	ruff format --check
	uv lock --check --quiet
	mypy
	lint-imports
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	.ci/invariants

format: $(SYNCED) ## write it the way lint wants it
	ruff check --fix
	ruff format
	cargo fmt

bench: $(RELEASED) ## against nginx, HAProxy and others; CELLS= chooses
	bench/run

fuzz: ## every fuzz target, DURATION= seconds each (60)
	fuzz/run $(or $(DURATION),60)

soak: $(BUILT) ## traffic and chaos for MINUTES= (10); SEED= does the same again
	python -m soak --minutes $(or $(MINUTES),10) $(if $(SEED),--seed $(SEED))

conformance: $(BUILT) ## the table of raw HTTP/1.1 probes: Pylos, nginx, HAProxy; PAGE= writes it there
	.ci/need nginx nginx-light
	.ci/need haproxy haproxy
	PYTHONPATH=tests python -m probes $(PAGE)

clean: ## all that was built
	rm -rf .venv .venv-bench target fuzz/target dist

# -- what the targets stand on: made once, and again only when what they are made of has changed ---------------------

$(SYNCED): pyproject.toml uv.lock
	.ci/environment .venv
	uv sync --frozen --no-install-project --inexact --quiet
	touch $@

$(BUILT): $(SYNCED) $(RUST)
	maturin develop --locked --profile quick --uv --quiet
	touch $@

$(RELEASED): $(SYNCED) $(RUST) $(PYTHON)
	.ci/environment .venv-bench
	rm -rf target/wheels
	maturin build --locked --release --out target/wheels
	cargo build --locked --release -p pylos-proxy --example lane_driver
	uv pip install --quiet --python .venv-bench --reinstall-package pylos target/wheels/pylos-*.whl 'uvloop>=0.21,<1'
	touch $@
