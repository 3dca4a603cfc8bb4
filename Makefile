# Backstory's task runner: `make` lists the targets.
PYTHON ?= python3
JOBS   ?= 2
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
PEERS  := build/peers
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE  # each of a thousand commands would compile every module again
.PHONY: help setup demo test check bench bench-peers soak docs lock

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## make .venv from the hashed lock

$(READY): requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing into $(VENV) (about a minute the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(READY) ## the main job on real input, in a minute
	@$(BIN)/backstory demo

test: $(READY) ## the test suite, JOBS processes wide
	@$(BIN)/python -m pytest --numprocesses $(JOBS) --dist worksteal

check: $(READY) ## lint, types, docs drift and the tests, architecture among them
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(MAKE) --no-print-directory docs
	@$(MAKE) --no-print-directory test

bench: $(READY) ## benchmarks beside their floors, as ratios
	@$(BIN)/python -m tests.benchmarks

bench-peers: $(READY) $(PEERS)/.ready ## benchmarks beside MLflow, installed into its own environment
	@$(BIN)/python -m tests.benchmarks --peers

$(PEERS)/.ready: tests/benchmarks/peers.lock
	@test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	@echo "installing MLflow into $(PEERS) (about a minute the first time)"
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

soak: $(READY) ## long crash and race runs; prints seeds and a histogram
	@$(BIN)/python -m pytest -m soak -s --timeout=0

docs: $(READY) ## check the generated reference, build the documentation strictly
	@$(BIN)/python docs/generate.py --check
	@$(BIN)/mkdocs build --strict --site-dir site  # with --quiet its warnings would not count

lock: $(READY) ## resolve the locks again from pyproject.toml and tests/benchmarks/peers.in
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url --all-extras --group dev pyproject.toml -o requirements.lock
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
	  --no-emit-index-url tests/benchmarks/peers.in -o tests/benchmarks/peers.lock
