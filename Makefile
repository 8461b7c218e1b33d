# Everything runs from here: each target sets up .venv by itself, once, and again only when what it installs changes.
#
#   make demo     see it work            make lint    style, types, layers, protocol
#   make test     run all tests          make bench   how fast it is beside its peers
#   make docs     build the docs         make clean   remove what was built (distclean: .venv too)
#   make screenshots   take the docs' pictures anew, in the browser
#   make demo-cluster   a Ray cluster of three hosts, one of which is lost (ARGS="--engine dask": Dask)
#   make promises   try all that is promised about faults and attacks, and write the docs' table of it
#   make fuzz     look for messages that break something, for FUZZ_SECONDS=3600
#   make soak     start and end kernels by the hundred, and an hour of load with kernels killed (SOAK_SECONDS=3600)
#
# PYTHON=python3.12 chooses the interpreter; ARGS="…" goes to pytest, to the demo and to the benchmarks.
# The tests run in several processes, each file in one of them; ARGS="-n 0" runs them in one.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# The first interpreter that is new enough.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
  "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo "$$p" && break; done)

# What an installation copies, so that a change asks for another one; the code itself is linked.
SET_UP_FROM := pyproject.toml $(wildcard kernelspec/* snakekernel/ui/labextension/*.json snakekernel/ui/labextension/static/*)
DOCS := docs/_build/html

.PHONY: help demo demo-cluster test lint bench docs screenshots promises fuzz soak clean distclean

help:
	@sed -n 's/^#   //p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python -m snakekernel.demo $(ARGS)

demo-cluster: $(VENV)/.test
	@$(BIN)/python -m snakekernel.demo.cluster $(ARGS)

test: $(VENV)/.test
	@$(BIN)/python -m pytest -n logical --maxprocesses=4 --dist=loadfile --no-loadscope-reorder \
	  --max-worker-restart=0 $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m snakekernel.testing.protocol --check docs/protocol.json
	$(BIN)/python -m snakekernel.ui.bundle --check

bench: $(VENV)/.bench
	@$(BIN)/python -m benchmarks $(ARGS)

docs: $(VENV)/.test
	$(BIN)/sphinx-build -W --keep-going --quiet -b html docs $(DOCS)
	@echo "The docs are in $(DOCS)/index.html."

screenshots: $(VENV)/.test
	@SCREENSHOTS=docs/images $(BIN)/python -m pytest tests/ui/test_ui_screenshots.py $(ARGS)

promises: $(VENV)/.test
	@$(BIN)/python -m pytest -m promise -n logical --maxprocesses=2 --dist=loadfile \
	  --promises=docs/reference/promises.md $(ARGS)

FUZZ_SECONDS ?= 3600

fuzz: $(VENV)/.test
	@$(BIN)/python tests/fuzz --seconds=$(FUZZ_SECONDS) $(ARGS)

SOAK_SECONDS ?= 3600

soak: $(VENV)/.test
	@SUITE_ON_BOTH=1 SOAK_CYCLES=200 SOAK_AT_ONCE=100 SOAK_SECONDS=$(SOAK_SECONDS) $(BIN)/python -m pytest \
	  tests/provisioners/test_zygote_stress.py tests/pool/test_pool_leaks.py tests/faults/test_fault_restarts.py \
	  tests/faults/test_fault_soak.py tests/outside/test_ipykernel_suite.py $(ARGS)

# Each extra holds the ones before it (demo < test < dev), so an installation marks those done as well; bench, with
# the peers that the benchmarks need, stands beside them.
$(VENV)/.demo: extra := demo
$(VENV)/.test: extra := test
$(VENV)/.dev: extra := dev
$(VENV)/.bench: extra := bench
$(VENV)/.demo: marks := .demo
$(VENV)/.test: marks := .demo .test
$(VENV)/.dev: marks := .demo .test .dev
$(VENV)/.bench: marks := .bench

$(VENV)/.demo $(VENV)/.test $(VENV)/.dev $(VENV)/.bench: $(SET_UP_FROM) | $(BIN)/python
	@echo "Installing snakekernel[$(extra)] into $(VENV) (a few minutes the first time) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable ".[$(extra)]"
	@touch $(addprefix $(VENV)/,$(marks))

# Debian's python3 comes without ensurepip unless python3-venv is there; a pip outside does as well.
$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; name one with PYTHON=…" >&2; exit 1; }
	@echo "Creating $(VENV) with $$($(PYTHON) --version) …"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 \
	|| { $(PYTHON) -m venv --clear --without-pip $(VENV) \
	  && $(PYTHON) -m pip --python $(VENV)/bin/python install -qq pip; } 2>/dev/null \
	|| { rm -rf $(VENV); \
	  echo "$(PYTHON) cannot make virtual environments here. On Debian: apt install python3-venv" >&2; exit 1; }

clean:
	@rm -rf build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find benchmarks/results -type f -not -name "reference.*" -delete
	@find . -name __pycache__ -not -path "./$(VENV)/*" -prune -exec rm -rf {} +

distclean: clean
	@rm -rf $(VENV)
