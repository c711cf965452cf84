# make serve   set up and start the API on the embedded store (http://127.0.0.1:8000)
# make test    set up and run every check: ruff, mypy, import-linter, unit and integration tests
# make check   the same without the integration tests

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 2

.PHONY: help serve test check lint types unit integration clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# make/make/p' Makefile

# A stamp is newer than pyproject.toml once what it names is installed. Debian splits venv out of its Python;
# where it is missing it is installed (as root), or the error says what to install.
$(BIN)/python:
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "python3-venv is missing: installing it"; \
	  apt-get update -q && apt-get install -qy python3-venv && $(PYTHON) -m venv $(VENV); }

$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.run

serve: $(VENV)/.run
	$(BIN)/om runtime serve --host $(HOST) --port $(PORT)

test: check integration

check: lint types unit

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

unit: $(VENV)/.dev
	$(BIN)/pytest tests/unit -n $(JOBS) -q

# The README's commands are run as printed, and some of them are curl's. Exported notebooks are looked at in a
# real browser.
integration: $(VENV)/.dev
	@for program in curl chromium; do \
	  command -v $$program >/dev/null || { apt-get update -q && apt-get install -qy $$program; } || exit 1; done
	$(BIN)/pytest tests/integration -q

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
