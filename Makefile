# Punchgate. `make` alone prints what there is.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Quiet: what a first run prints is one line per step; an error is still shown.
PIP := -m pip -qq --disable-pip-version-check --no-input install --require-hashes
# Where the suite runs: both cores of a small machine; a file stays on one of them.
WORKERS ?= 2
# Rounds of kill -9 in the soak; an hour on a small machine.
ROUNDS ?= 500
UV_COMPILE := $(BIN)/uv -q pip compile --generate-hashes --no-emit-index-url --no-header --python-version 3.11

# `make -k check` runs them all even when one fails.
CHECKS := check-format check-ruff check-lints check-imports check-types check-generated

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check bench soak docs lock tools system
.PHONY: $(CHECKS)
# A step that failed half-way must not look done.
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

help: ## print this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(VENV)/.runtime ## make .venv with the pinned dependencies and the command `punchgate`
	@:

demo: setup ## run the gateway with simulated terminals on a throw-away directory
	@$(BIN)/punchgate demo

serve: setup ## run the gateway on ./data
	@$(BIN)/punchgate serve

test: system check ## everything: what the tests need, `check`, then all suites
	@echo "tests: SQLite and PostgreSQL, in random order"
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile

check: $(CHECKS) ## format, ruff, types, import contracts, own lints, generated files fresh
	@:

bench: tools ## ours against the baselines and the limit, in one run, as ratios
	@$(BIN)/python bench/run.py

soak: tools ## the ledger: kill -9 under load for an hour, with its seed printed
	@PUNCHGATE_LEDGER_ROUNDS=$(ROUNDS) $(BIN)/python -m pytest tests/journeys/test_ledger.py tests/journeys/test_delivery.py \
		tests/facades/test_zk_clients.py -s -q --timeout 0

docs: tools ## rebuild the generated pages: settings, commands, OpenAPI, invariants
	@$(BIN)/python -m tools.docs

lock: tools ## compile the two locks anew from pyproject.toml
	@$(UV_COMPILE) pyproject.toml -o requirements.lock
	@$(UV_COMPILE) pyproject.toml --extra dev -c requirements.lock -o requirements-dev.lock

# Not listed: steps of the targets above.

tools: $(VENV)/.dev
	@:

check-format: tools
	@echo "check: format"
	@$(BIN)/ruff format --quiet --check .

check-ruff: tools
	@echo "check: ruff"
	@$(BIN)/ruff check --quiet .

check-lints: tools
	@echo "check: own lints"
	@$(BIN)/python -m tools.lint

check-imports: tools
	@echo "check: import contracts"
	@$(BIN)/python -m tools.imports

check-types: tools
	@echo "check: types"
	@$(BIN)/mypy --no-error-summary

check-generated: tools
	@echo "check: generated files"
	@$(BIN)/python -m tools.docs --check

system:
	@sh tools/system_packages.sh
	@sh tools/test_clients.sh

$(VENV)/.python: tools/link.py
	@$(PYTHON) tools/link.py --supported
	@echo "setup: $(VENV)"
	@$(PYTHON) -m venv $(VENV) || { echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python tools/link.py
	@touch $@

$(VENV)/.runtime: requirements.lock | $(VENV)/.python
	@echo "setup: the libraries of requirements.lock"
	@$(BIN)/python $(PIP) -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock | $(VENV)/.python
	@echo "setup: the libraries and tools of requirements-dev.lock"
	@$(BIN)/python $(PIP) -r requirements-dev.lock
	@touch $@
