# Coding Gateway. `make run` installs and starts everything; `make help` lists the rest.

PYTHON ?= python3
ARGS ?=
SESSIONS ?=
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
# Only ready-made wheels, so that no compiler is needed. Empty it to build from source.
PIP_FLAGS ?= --only-binary :all:
LOCK := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --quiet

FAST_TESTS := $(wildcard tests/unit tests/golden tests/architecture tests/docs)
SLOW_TESTS := $(wildcard tests/contract tests/integration tests/faults)

.DEFAULT_GOAL := help
.PHONY: help install run dev test test-clients check format bench bench-batches bench-savings faults soak lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 15

install: .venv/.installed ## make .venv with the coding-gateway command in it; starts nothing

run: install ## install, then start everything: ARGS="--port 8090" adds options
	@exec $(BIN)/coding-gateway up $(ARGS)

dev: .venv/.installed-dev ## install what tests and checks need as well

test: dev ## run every test: fast groups first, real clients last
	@$(call timed,fast tests,$(BIN)/python -m pytest -n auto --dist loadfile --durations=10 $(FAST_TESTS))
	@$(call timed,slow tests,$(BIN)/python -m pytest --durations=15 $(SLOW_TESTS))
	@$(MAKE) --no-print-directory test-clients

test-clients: dev ## drive real coding clients; installs them once; SKIP_NPM=1 leaves out JavaScript
	@$(call timed,client tests,$(BIN)/python -m pytest --durations=10 tests/clients)

check: dev ## format, lint, types, layers, lock files; changes nothing
	@$(call timed,format,$(BIN)/ruff format --check --quiet .)
	@$(call timed,lint,$(BIN)/ruff check --quiet .)
	@$(call timed,types,$(BIN)/mypy)
	@$(call timed,layers,$(BIN)/lint-imports)
	@$(call timed,lock files,$(BIN)/python requirements/check.py)

format: dev ## write the format and the mends that are safe
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: dev ## measure against the goals; prints a table
	$(BIN)/python -m bench $(ARGS)

bench-batches: dev ## how fast one worker executes a batch, and what it leaves in Temporal
	$(BIN)/python -m bench.batches $(ARGS)

bench-savings: dev ## what the gateway saves on recorded sessions: SESSIONS=DIR, else on made ones
	$(BIN)/python -m bench.savings $(SESSIONS) $(ARGS)

faults: dev ## kill, freeze and cut off every part under load; writes docs/reliability.md; 13 minutes
	$(BIN)/python -m tests.faults

soak: dev ## ten minutes of load, to see that nothing grows: ARGS="--seconds 60"
	$(BIN)/python -m tests.faults.soak $(ARGS)

lock: dev ## resolve the dependencies of pyproject.toml anew, keeping versions that still fit
	$(LOCK) --extra stack --group dev -o requirements/dev.txt
	$(LOCK) --extra stack --group build -c requirements/dev.txt -o requirements/stack.txt
	$(LOCK) --group build -c requirements/dev.txt -o requirements/production.txt
	$(BIN)/python requirements/check.py

clean: ## remove .venv, caches and builds; data of stacks stays
	rm -rf .venv .stamps .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "Python 3.11 or later is needed and '$(PYTHON)' is not; on Debian:" >&2; \
		echo "    apt install python3 python3-venv python3-pip" >&2; \
		echo "or name another one: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
		|| { echo "'$(PYTHON)' cannot make virtual environments; on Debian:" >&2; \
		echo "    apt install python3-venv python3-pip" >&2; exit 1; }
	@echo "Making .venv"
	@$(PYTHON) -m venv .venv || { rm -rf .venv; echo "making .venv failed; on Debian:" >&2; \
		echo "    apt install python3-venv python3-pip" >&2; exit 1; }

# What dev.txt installs includes stack.txt: a tree with the former needs no second install.
.venv/.installed: requirements/stack.txt pyproject.toml | .venv/bin/python
	@if [ ! -e .venv/.installed-dev ] || [ requirements/dev.txt -nt .venv/.installed-dev ]; then \
		echo "Installing the gateway and its servers, about a minute"; \
		$(PIP) install $(PIP_FLAGS) --require-hashes -r requirements/stack.txt \
		|| { $(install_failed); }; \
	fi
	@$(install_gateway)
	@touch $@

.venv/.installed-dev: requirements/dev.txt pyproject.toml | .venv/bin/python
	@if [ ! -e $@ ] || [ requirements/dev.txt -nt $@ ]; then \
		echo "Installing the gateway, its servers and its tools, about a minute"; \
		$(PIP) install $(PIP_FLAGS) --require-hashes -r requirements/dev.txt \
		|| { $(install_failed); }; \
	fi
	@$(install_gateway)
	@touch $@ .venv/.installed

# The back end that builds it is in the lock, so nothing is fetched here.
define install_gateway
$(PIP) install --no-deps --no-build-isolation -e . || { $(install_failed); }; \
	$(compile)
endef

# API processes run with -OO, whose code pip does not compile: without this each would do it itself
# where it may not write. What is no Python of ours among the packages is passed over.
define compile
$(BIN)/python -m compileall -q -j 0 -o 2 .venv/lib >/dev/null 2>&1 || true; \
	$(BIN)/python -m compileall -q -j 0 -o 0 -o 2 api gateway workflows activities simulator worker.py
endef

define install_failed
echo "Installing failed; pip's own words are above." >&2; \
echo "No matching distribution: there is no ready-made wheel for this Python or machine." >&2; \
echo "    Try another Python (make clean; make install PYTHON=python3.12), or build:" >&2; \
echo "    apt install build-essential python3-dev && make install PIP_FLAGS=" >&2; \
echo "No connection: pip must reach a package index, see pip config." >&2; \
exit 1
endef

# $(1): name, $(2): command. Prints how long it took, also when it fails.
define timed
begun=$$(date +%s); code=0; $(2) || code=$$?; \
echo "== $(1): $$(($$(date +%s) - begun)) s"; exit $$code
endef
