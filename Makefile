SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
USABLE := $(VENV)/.usable
READY := $(VENV)/.ready
# The processors that a wheel has code for.
LEVELS ?= v2,v3,v4
# Prints what the kernels need to be compiled.
COMPILER = import tomllib; print(*(one for one in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"] if one.startswith(("numba", "numpy"))), sep="\n")
# Only these are read without the compiler: others fit curves while they are imported.
NOJIT_TESTS = $(shell grep -l mark.nojit tests/rooms/*.py)

# Fails where a kernel is not the wheel's.
FROM_THE_WHEEL = import sys; from escala import kernels; from escala.kernels import jit; kernels.load_all(); sys.exit(len(jit.taken) != len(kernels.names()) or "numba" in sys.modules)
WHEEL_TESTS = $(patsubst %,tests/rooms/test_%.py,lending plan curves fitting noise design market) \
  tests/rooms/test_allocation.py::test_compiled_kernels_give_the_bits_of_plain_python

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-8s %s\n", $$1, $$2}'

# The package with all that it can be used with, and nothing that only its checks need: whoever tries it waits for this.
$(USABLE): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "escala needs Python 3.11 or newer, this is " + sys.version.split()[0] + ": make PYTHON=python3.12 ...")'
	@echo "making the environment in $(VENV): about a minute"
	@$(PYTHON) -m venv $(VENV)
	@# the compiler first: kernels are compiled while the rest is fetched, and whoever is first waits for what is left
	@$(BIN)/python -c '$(COMPILER)' > $(VENV)/compiler.txt
	@$(BIN)/python -m pip install --quiet --requirement $(VENV)/compiler.txt
	@PYTHONPATH=src $(BIN)/python -c 'from escala import kernels; kernels.compile_all()' > /dev/null 2>&1 &
	@# what is imported is translated then: all of it takes longer than to fetch it, on the processors the kernels need
	@$(BIN)/python -m pip install --quiet --no-compile --editable '.[all]'
	@touch $@

$(READY): $(USABLE)
	@echo "adding what builds and checks it: about a minute"
	@$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	@$(BIN)/python -m pip install --quiet --group dev
	@$(BIN)/python -m compileall -qq $(VENV)/lib || true # some packages come with files that are meant to be wrong
	@touch $@

demo: $(USABLE) ## run the main job: curves of 56 token pairs, 374 real Aave accounts
	@$(BIN)/escala demo

test: $(READY) ## run all checks: lint, docs, tests on all threads, on one with bounds checks, without compiler
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target lint test-kernels docs
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-rest test-early test-lanes

wheel: $(READY) ## build a wheel with the kernels compiled, for x86-64 Linux, in dist: minutes
	@rm -rf build/wheel
	ESCALA_NATIVE=$(LEVELS) $(BIN)/python -m hatchling build -t wheel -d build/wheel
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m auditwheel repair --zip-compression-level 9 --wheel-dir dist build/wheel/*.whl

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
	@test "$$(uname -sm)" != "Linux x86_64" || $(MAKE) --no-print-directory test-wheel

# Kernels as a wheel has them, of one level: what they were made from is what is tested here.
test-wheel: $(READY)
	@rm -rf build/lane build/installed
	ESCALA_NATIVE=v3 $(BIN)/python -m hatchling build -t wheel -d build/lane
	@$(BIN)/python -m pip install --quiet --no-deps --target build/installed build/lane/*.whl
	PYTHONPATH=$(CURDIR)/build/installed $(BIN)/python -c '$(FROM_THE_WHEEL)'
	PYTHONPATH=$(CURDIR)/build/installed HYPOTHESIS_PROFILE=lane $(BIN)/python -m pytest -q -m "kernel and not slow" $(WHEEL_TESTS)

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

.PHONY: help demo test test-kernels test-early test-rest test-lanes test-wheel wheel lint room kernels docs bench gate fuzz format clean
