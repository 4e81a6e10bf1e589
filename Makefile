# Everything a developer runs. Each target sets up what it needs; `make` alone lists them.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DATA ?= .data
# One more than processors, since tests also wait: for processes, deadlines, the database.
WORKERS_OF_TESTS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# The tests start hundreds of processes, each of which would compile all of Innkeeper again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup serve demo test test-long test-spark check bench bench-attacks bench-peers docs clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-11s %s\n", $$1, $$2 }'

setup: $(VENV)/.ready ## Make .venv with the innkeeper command in it

serve: $(VENV)/.ready ## Run the server with an embedded database, data in .data (ARGS="--port 9000")
	@$(BIN)/innkeeper serve --data $(DATA) $(ARGS)

demo: $(VENV)/.ready ## Fill what `make serve` serves with a shop (ARGS="--guests 500")
	@$(BIN)/innkeeper demo --data $(DATA) $(ARGS)

# The browser tests keep an event loop of their own running: no other test can share a process.
# Each process of theirs has a server and a browser of its own, so a file stays in one of them.
test: $(VENV)/.dev-ready ## Run every everyday test (ARGS="-k guests")
	@$(BIN)/pytest -n $(WORKERS_OF_TESTS) --dist worksteal --ignore tests/browser $(ARGS)
	@$(BIN)/pytest -n $(WORKERS_OF_TESTS) --dist loadfile tests/browser $(ARGS)

test-long: $(VENV)/.dev-ready ## Run the tests with their long profiles: many more examples and rounds
	@INNKEEPER_LONG=1 $(BIN)/pytest -n $(WORKERS_OF_TESTS) --dist worksteal --ignore tests/browser $(ARGS)
	@INNKEEPER_LONG=1 $(BIN)/pytest -n $(WORKERS_OF_TESTS) --dist loadfile tests/browser $(ARGS)

# Spark is 480 MB and two workers take 2 GB of memory, so everyday tests leave it out.
test-spark: $(VENV)/.dev-ready ## Ask the segment suite of Spark too, two workers (needs Java 17)
	@if ! command -v java >/dev/null; then echo "Skipped: there is no java on PATH."; \
	elif ! $(BIN)/pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev,spark]'; then \
		echo "Skipped: pyspark cannot be installed."; \
	else INNKEEPER_SPARK=1 $(BIN)/pytest tests/store/test_lake_spark.py \
		tests/store/test_segments_fixed.py $(ARGS); fi

check: $(VENV)/.dev-ready ## Lint, types, layers of imports
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(VENV)/.dev-ready ## Measure speed against a floor in the same run
	@$(BIN)/python -m bench $(ARGS)

bench-attacks: $(VENV)/.dev-ready ## Measure GET guest while the server is attacked (loopback)
	@$(BIN)/python -m bench.attacks $(ARGS)

bench-peers: $(VENV)/.dev-ready ## Compare with Directus, Medusa and ClickHouse (npm, PyPI: 2 GB in .peers)
	@$(BIN)/python -m bench.peers $(ARGS)

docs: $(VENV)/.dev-ready ## Write the generated pages of docs/ again
	@$(BIN)/python -m docs.generate

clean: ## Remove the virtual environment, the data of `make serve`, systems of `make bench-peers`
	rm -rf $(VENV) $(DATA) .peers

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Innkeeper needs Python 3.11 or newer; name one with PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.ready: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing Innkeeper into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable .
	@touch $@

$(VENV)/.dev-ready: $(VENV)/.ready
	@echo "Installing what the tests need into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
