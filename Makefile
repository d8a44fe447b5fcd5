# Everything a person or CI does here. `make` alone says what there is.
# Needs GNU make 3.81 or newer and Python 3.11; every target makes .venv by itself when it is missing or out of date.

BIN := .venv/bin
LOCKED := .venv/.locked
INSTALLED := .venv/.installed
COMPILE := uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --quiet

# More arguments for the program that a target runs: make demo ARGS=--embedded, make test ARGS="-k lattice"
ARGS ?=

.PHONY: help demo test install lint format fuzz bench bench-small bench-quality bench-quality-small chaos hooks lock clean
.DEFAULT_GOAL := help

help: ## what there is (this list)
	@echo "usage: make TARGET [ARGS=...]"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-19s  %s\n", $$1, $$2 }' Makefile

demo: $(INSTALLED) ## a simulated shop, segmented live on a real Kafka and Redis that it starts by itself
	@$(BIN)/stream-seg demo $(ARGS)

test: $(INSTALLED) ## all tests, on a real Kafka and Redis
	$(BIN)/python -m pytest $(ARGS)

install: $(INSTALLED) ## only install: everything, extras too, into .venv, with .venv/bin/stream-seg
	@echo "stream-seg is installed: $(BIN)/stream-seg --help"

lint: $(INSTALLED) ## style, format, strict types, and that imports point one way
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

format: $(INSTALLED) ## mend what can be mended by itself
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

fuzz: $(INSTALLED) ## try 20,000 hostile inputs on each reader of records, configuration and stored state
	$(BIN)/python -m pytest -q tests/property/test_hostile_input.py --hypothesis-profile=fuzz --hypothesis-show-statistics $(ARGS)

bench: $(INSTALLED) ## measure the speed beside peers' on this machine, on servers of its own: half an hour
	$(BIN)/stream-seg bench --local --json docs/benchmarks/speed.json --markdown docs/benchmarks/speed.md $(ARGS)

bench-small: $(INSTALLED) ## the same on little data, to see that it works: its figures mean nothing
	$(BIN)/stream-seg bench --local --small $(ARGS)

bench-quality: $(INSTALLED) ## measure the clustering against batch k-means and peers: hours; goes on where it ended
	$(BIN)/python -m tests.bench.quality $(ARGS)

bench-quality-small: $(INSTALLED) ## the same on little data, in minutes, into build/quality
	$(BIN)/python -m tests.bench.quality --k 6 --seeds 1 --partitions 1 4 --customers 3000 --peer-events 5000 \
	  --data synthetic --features decayed --gains 0.01 0.02 --folder build/quality $(ARGS)

chaos: $(INSTALLED) ## random faults, two minutes of them: make chaos ARGS="--seconds 600 --seed 1 --client confluent"
	$(BIN)/python -m tests.chaos.run $(ARGS)

hooks: $(INSTALLED) ## have git run the checks before each commit
	$(BIN)/pre-commit install

lock: ## choose the newest allowed versions and write the locks (needs uv)
	$(COMPILE) --upgrade --all-extras --group dev pyproject.toml -o requirements/lock.txt
	$(COMPILE) -c requirements/lock.txt --extra confluent --extra files pyproject.toml -o requirements/worker.txt
	echo hatchling | $(COMPILE) -c requirements/lock.txt - -o requirements/build.txt

clean: ## remove .venv and everything made by tools
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache dist build
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The locked packages; the environment is made anew when the lock's content has changed.
$(LOCKED): requirements/lock.txt
	@cmp -s requirements/lock.txt .venv/lock.txt || { \
	  python=python3; \
	  for candidate in python3 python3.11; do \
	    if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then \
	      python=$$candidate; break; fi; \
	  done; \
	  "$$python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	    echo "stream-seg needs Python 3.11: install it so that python3 or python3.11 is found" >&2; exit 1; }; \
	  echo "installing the locked packages into .venv (about a minute, only when the lock has changed)"; \
	  "$$python" -m venv --clear .venv && \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-compile --no-deps \
	    --only-binary :all: --require-hashes -r requirements/lock.txt && \
	  cp requirements/lock.txt .venv/lock.txt; }
	@touch $@

# stream-seg itself, editable: built by the locked hatchling, nothing is fetched.
$(INSTALLED): $(LOCKED) pyproject.toml stream_seg/_version.py
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation \
	  --no-index -e .
	@touch $@
