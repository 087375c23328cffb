# Two commands do all their own set-up: `make start` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check
CONSTRAINTS := -c constraints.txt
START ?= --budget 50
TEST ?=
EXTRAS ?= dev

.PHONY: start test test-all check install install-dev data clean

start: install
	$(BIN)/evolve start $(START)

test: install-dev data check
	$(BIN)/python -m pytest -m "not matrix" $(TEST)

test-all: install-dev data check
	$(BIN)/python -m pytest $(TEST)

check: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

install: $(VENV)/.installed

install-dev: $(VENV)/.installed-dev

data: install-dev
	$(BIN)/evolve data get ml-100k
	$(PIP) download --no-deps --dest $(HOME)/.cache/evolve/data obp==0.4.1

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.installed-dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) install $(CONSTRAINTS) -e '.[$(EXTRAS)]'
	touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache
