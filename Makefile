# Two commands for everyone (demo, test); the rest for those who work on mnemesh.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEEDS ?= 500

.DEFAULT_GOAL := help
.PHONY: help demo test test-more test-all check format sim planted scale chaos chaos-smoke fuzz bench bench-full bench-recall soak wheel lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The lock file decides what is installed; hashes are demanded of every package.
$(READY): requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "mnemesh needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "installing into $(VENV) from requirements-dev.lock (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## watch a three-node mesh store, lose a node, keep its promise and heal
	@$(BIN)/mnemesh demo

test: $(READY) ## the everyday tests, under three minutes
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not thorough"

test-more: $(READY) ## what CI runs besides: stories of minutes of real nodes
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m "thorough and not slow"

test-all: $(READY) ## every test, the slow ones too
	@$(BIN)/python -m pytest -n 2

check: $(READY) ## formatting, lint, types and import direction
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/python -m pytest -q tests/architecture/test_imports.py

format: $(READY) ## rewrite the sources the way ruff wants them
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

sim: $(READY) ## run the replication core under a hostile virtual world: make sim SEEDS=500
	@$(BIN)/python -m tests.simulation --seeds $(SEEDS)

planted: $(READY) ## break one rule at a time and see which layer of tests notices: about a quarter of an hour
	@$(BIN)/python -m tests.planted

scale: $(READY) ## what a write costs in meshes of ten to a thousand nodes, and its curve
	@$(BIN)/python -m tests.simulation.scale

chaos: $(READY) ## break a mesh in every way this machine can inject: make chaos CYCLES=2
	@$(BIN)/mnemesh chaos run --plan full $(if $(CYCLES),--cycles $(CYCLES))

chaos-smoke: $(READY) ## the smoke campaign of CI, judged twice: about two minutes
	@.ci/chaos-smoke

fuzz: $(READY) ## feed the decoders 100,000 hostile inputs
	@$(BIN)/python -m pytest -q -m "slow" tests/property -k fuzz

bench: $(READY) ## speed beside etcd and Redis, as JSON lines: about a quarter of an hour
	@$(BIN)/python -m tests.benchmarks

bench-full: $(READY) ## every benchmark, the long ones too, and more repeats: hours
	@$(BIN)/python -m tests.benchmarks --full

bench-recall: $(READY) ## how well and how fast recall answers: make bench-recall DATA=conversations.jsonl
	@$(BIN)/python -m tests.benchmarks.recall_quality $(if $(DATA),--data $(DATA))

soak: $(READY) ## half an hour under load with nodes that come and go: make soak SECONDS=600
	@$(BIN)/python -m tests.benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS))

wheel: $(READY) ## build the wheel that pipx or uv installs
	@$(BIN)/python -m hatchling build -t wheel

lock: ## resolve the dependencies anew (needs pip-tools)
	pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --strip-extras --allow-unsafe -o requirements.lock pyproject.toml
	pip-compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --strip-extras --allow-unsafe -c requirements.lock --extra dev -o requirements-dev.lock pyproject.toml

clean: ## remove what the build made
	rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
