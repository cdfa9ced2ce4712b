# `make demo` and `make test` need Python 3.11 or newer and nothing else: each first installs Toolbox
# and its tools in .venv, once, and again when pyproject.toml changes. PYTHON=python3.12 picks a Python.

PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed

.PHONY: demo test lint docs clean

demo: $(INSTALLED)
	$(BIN)/python examples/demo.py

# One thread each: the tests themselves run in parallel.
test: export OMP_NUM_THREADS = 1
test: lint
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py
	$(BIN)/python -m mkdocs build --strict

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv out site
