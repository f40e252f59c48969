SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Only these are read without the compiler: others fit curves while they are imported.
NOJIT_TESTS = $(shell grep -l mark.nojit tests/rooms/*.py)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "escala needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@echo "making the environment in $(VENV): one or two minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@

demo: $(READY) ## run the main job: curves of 56 token pairs, 374 real Aave accounts
	@$(BIN)/escala demo

test: $(READY) ## run all checks: lint, docs, tests on all threads, on one with bounds checks, without compiler
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint test-kernels docs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-rest test-early test-lanes

lint: $(READY) ## check style, format, types and which room may import which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

room: $(READY) ## test one room quickly: make room ROOM=curves
	@test -n "$(ROOM)" || { echo "which room? make room ROOM=$$(ls tests/rooms/test_*.py | sed 's,.*/test_,,; s,.py,,' | paste -sd'|')"; exit 2; }
	$(BIN)/python -m pytest -q -m "not slow" $(wildcard tests/rooms/test_$(ROOM)*.py)

kernels: $(READY) ## compile all kernels, what changed and no other
	@$(BIN)/escala warm

docs: $(READY) ## build the site in build/site; any warning is an error
	$(BIN)/python -m sphinx -W --keep-going -q -b html -d build/doctrees docs build/site
	@echo "build/site/index.html"

# Compiled before anything waits for them, with bounds checks too: these processes share the work and no test pays it.
test-kernels: kernels
	NUMBA_BOUNDSCHECK=1 $(BIN)/escala warm

# The suite in two halves of about the same cost, each file in one of them, and the lanes beside whichever takes longer.
EARLY = tests/rooms/test_[a-d]*.py

test-early: $(READY)
	$(BIN)/python -m pytest $(EARLY)

test-rest: $(READY)
	$(BIN)/python -m pytest tests --ignore-glob='$(EARLY)'

# Kernels again, on one thread and with bounds checks: what fails here is told apart by leaving one of the two out.
test-lanes: $(READY)
	HYPOTHESIS_PROFILE=lane ESCALA_THREADS=1 NUMBA_BOUNDSCHECK=1 $(BIN)/python -m pytest -q -m "kernel and not slow" tests/rooms
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m nojit $(NOJIT_TESTS)

bench: $(READY) ## run the benchmarks and print ratios
	$(BIN)/python -m benchmarks

gate: $(READY) ## say whether this tree is slower than a revision, or that it cannot tell: make gate REV=main
	$(BIN)/python -m benchmarks.gate $(REV)

fuzz: $(READY) ## draw properties and calls of the C library with fresh seeds: make fuzz MINUTES=10
	$(BIN)/python -m tests.fuzz $(MINUTES)

format: $(READY) ## format the sources
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean: ## remove the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks .import_linter_cache dist build

.PHONY: help demo test test-kernels test-early test-rest test-lanes lint room kernels docs bench gate fuzz format clean
