# The commands of this project. All of them set up what is missing first; `make setup` says what it does.

PYTHON := $(shell for python in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$python; break; }; done)
BIN := .venv/bin
MANAGE := $(BIN)/python manage.py

# A database and a web server for each process; a file stays in one, as its tests share what is dear to make. They are
# taken up in the order that tests/conftest.py gives them. One process more than cores: each waits a fifth of its time.
PARALLEL = --numprocesses $(shell $(BIN)/python -c 'import os; print(min(4, os.cpu_count() + 1))') \
	--dist loadfile --no-loadscope-reorder

.PHONY: help verifier setup demo up test test-all chaos hostile check types rules audit bench bench-large screenshots journals lock assets clean

help:
	@echo "make setup      dependencies into .venv, assets (quick when nothing changed)"
	@echo "make demo       everything on this machine, with demo tenants; Ctrl-C stops it"
	@echo "make up         the same without demo data"
	@echo "make test       the tests        make test-all   with the long ones"
	@echo "make chaos      5,000 runs while PostgreSQL restarts and workers are killed (CHAOS='--runs N --seed S')"
	@echo "make hostile    a model that obeys whatever it reads, over several sets of tools, and how much it tried"
	@echo "make check      format, types, layers, migrations, deployment checks, bandit, known holes of dependencies"
	@echo "make audit      known holes of dependencies, asked of the package index"
	@echo "make bench      the benchmarks   make bench-large  on many rows"
	@echo "make verifier   audit-verify.pyz: the verifier of audit bundles as one file"
	@echo "make journals   record this release's journals for all later ones to fold"
	@echo "make lock       lock the dependencies anew    make assets  copy the console's assets anew"
	@echo "make clean      remove what can be made again; the data stays"

setup:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or later is needed: install it and try again." >&2; exit 1; }
	@$(PYTHON) platform/ops/project_setup.py

demo: setup
	@$(MANAGE) demo

up: setup
	@$(MANAGE) up

test: setup
	$(BIN)/pytest $(PARALLEL)

test-all: setup
	HYPOTHESIS_PROFILE=full $(BIN)/pytest $(PARALLEL) -m ""

chaos: setup
	@$(BIN)/python -m tests.faults.chaos $(CHAOS)

hostile: setup
	@$(BIN)/pytest -q -m "" tests/hostile

check: setup
	@$(MAKE) --no-print-directory --jobs=2 --output-sync types rules

types:
	$(BIN)/mypy

rules:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	PYTHONPATH=platform $(BIN)/lint-imports
	$(MANAGE) makemigrations --check --dry-run
	$(MANAGE) docs --check
	@$(BIN)/python platform/ops/deploy_check.py
	@$(BIN)/python platform/ops/assets.py --check
	@$(BIN)/python platform/ops/alerts_check.py
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive platform agents audit escalations manage.py
	@$(BIN)/python platform/ops/dependency_audit.py

# Asks the package index for advisories, so it needs a network; what it could not ask about fails it.
audit: setup
	$(BIN)/pip-audit --strict --disable-pip --require-hashes -r requirements.txt -r requirements-dev.txt

bench: setup
	$(BIN)/python bench/run.py

bench-large: setup
	$(BIN)/python bench/run.py --large

screenshots: setup
	$(BIN)/python docs/screenshots.py

journals: setup
	DJANGO_SETTINGS_MODULE=tests.settings $(BIN)/python -m tests.journals.record

# uv resolves for every platform and Python at once; it is not needed to install what it locked.
lock: setup
	@test -x .cache/uv/bin/uv || { $(PYTHON) -m venv .cache/uv && .cache/uv/bin/python -m pip install --quiet uv; }
	@for name in requirements requirements-dev requirements-node; do \
		UV_PYTHON_DOWNLOADS=never .cache/uv/bin/uv pip compile $$name.in -o $$name.txt --quiet --universal \
			--python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url || exit 1; done
	@$(BIN)/python platform/ops/assets.py --lock

assets: setup
	@$(BIN)/python platform/ops/assets.py

# The verifier of audit bundles as one file, to be given to auditors.
verifier: setup
	@$(BIN)/python platform/ops/verifier.py

clean:
	rm -rf audit-verify.pyz .venv .cache static/vendor collected .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
