# Each target does its own set-up: a virtual environment in .venv from the lock files, and for the tests the Debian
# packages of the real servers they start. Python 3.11 or newer with its venv module has to be there.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
  $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-header --no-annotate --no-emit-index-url --no-emit-find-links --upgrade --exclude-newer "7 days"
KILLS ?= 1000
DESELECT := not gpu and not jetson
# each worker has a container engine of its own and mostly waits for it, so that there may be more than cores; one that is
# done takes tests over from one that is busy
SIDE_BY_SIDE := --numprocesses 4 --dist worksteal

.PHONY: demo test test-engines check format bench screenshots kills lock wheel image clean

demo: .venv/.runtime ## the whole loop on this machine, without a device or the internet
	$(BIN)/python -m watcher demo $(DEMO)

test: .venv/.dev ## everything but the slow tier, against real servers
	tests/system-packages.sh
	$(BIN)/python -m pytest -m "not engines and $(DESELECT)" $(SIDE_BY_SIDE) $(TESTS)

test-engines: .venv/.dev ## the slow tier: real vLLM, real llama.cpp, real PyTorch wheels, the way with compose
	tests/system-packages.sh
	$(BIN)/python -m pytest -m "engines and $(DESELECT)" $(TESTS)

check: .venv/.dev ## format, lint, types, layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config pyproject.toml

format: .venv/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/.dev ## the costs, measured on this machine
	$(BIN)/python -m tests.bench

screenshots: .venv/.dev ## the pictures of docs/monitoring.md, in a real browser
	tests/system-packages.sh
	$(BIN)/python -m tests.page.screenshots

kills: .venv/.dev ## trials killed at random, to be run at night: what was there before must be there again
	tests/system-packages.sh
	$(BIN)/python -m tests.faults.kills --kills $(KILLS)

lock: .venv/.dev ## versions that fit pyproject.toml and are a week old at least; review the difference
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) --constraint requirements.lock --group dev pyproject.toml -o requirements-dev.lock
	$(LOCK) --constraint requirements-dev.lock --group build -o requirements-build.lock
	$(LOCK) --group devpi -o requirements-devpi.lock
	$(LOCK) --group bench -o requirements-bench.lock

wheel: .venv/.dev
	$(BIN)/python -m build --wheel --no-isolation --outdir dist .

image:
	docker build -t upstream-watcher .

clean:
	rm -rf .venv .cache dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.venv/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.runtime: requirements.lock | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements.lock
	touch $@

.venv/.dev: requirements-dev.lock pyproject.toml | .venv/bin/python
	$(PIP) install --quiet --require-hashes -r requirements-dev.lock
	$(PIP) install --quiet --no-deps --no-build-isolation -e .
	touch $@ .venv/.runtime
