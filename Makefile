# Everything runs in a virtual environment of this checkout; Python and make are all that it takes.
.DEFAULT_GOAL := help
.PHONY: help demo serve test check format bench clean
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA_DIR ?= sylvigie-demo

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# The stamp is newer than what the environment is made from, so that a second call installs nothing.
$(VENV)/.stamp: pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Sylvigie needs Python 3.11 or newer: call make PYTHON=/path/to/python3.11." >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c requirements.lock -e ".[dev]"
	@touch $@

demo: $(VENV)/.stamp  ## clear-cuts found on real Sentinel-2 images, and a picture of them
	$(BIN)/sylvigie demo

serve: $(VENV)/.stamp  ## the store over HTTP: the demo's, or DATA_DIR=...
	$(BIN)/sylvigie serve --data-dir $(DATA_DIR)

test: $(VENV)/.stamp  ## all tests
	$(BIN)/python -m pytest

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
	rm -rf $(VENV) build sylvigie-demo *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
