# `make demo` and `make test` need Python 3.11 or newer and nothing else: each first installs Toolbox
# and its tools in .venv, once, and again when pyproject.toml changes. PYTHON=python3.12 picks a Python.

PYTHON ?= python3
BIN = .venv/bin
INSTALLED = .venv/.installed

.PHONY: demo test lint portable pythons lowest docs release clean

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

# The tests as they run on other processors and with other numbers of threads; TESTS=tests/decoders runs some of them.
portable: export OMP_NUM_THREADS = 1
portable: TESTS = tests
portable: $(INSTALLED)
	for setting in ATEN_CPU_CAPABILITY=default ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=SSE41 \
	    MKL_ENABLE_INSTRUCTIONS=SSE4_2 OMP_NUM_THREADS=2 OMP_NUM_THREADS=3; do \
	  echo "$$setting"; \
	  env "$$setting" $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 $(TESTS) || exit 1; \
	done

# The tests with each Python from 3.11 to 3.14 that is installed here.
pythons: $(INSTALLED)
	$(BIN)/tox run

# With the oldest allowed version of each dependency, those of constraints/lowest.txt.
lowest: $(INSTALLED)
	$(BIN)/tox run -e lowest

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py
	$(BIN)/python docs/browser/fetch.py
	$(BIN)/python -m mkdocs build --strict

# The wheel and the sdist; then the wheel in an empty environment, outside the checkout, with plugins of other packages.
release: KINDS = encoder decoder implicit-decoder nonlocal-block transition degradation protocol loss dataset converter
release: PACKAGES = minimal dncnn ffdnet perceptual
release: $(INSTALLED)
	rm -rf dist build
	$(BIN)/python -m build --no-isolation
	$(PYTHON) -m venv build/venv
	build/venv/bin/pip install dist/*.whl $(PACKAGES:%='./examples/toolbox-plugin-%[test]')
	for kind in $(KINDS); do \
	  build/venv/bin/toolbox plugin new new-$$kind --kind $$kind --folder build/new-$$kind || exit 1; \
	done
	build/venv/bin/pip install $(KINDS:%='./build/new-%[test]')
	for package in $(PACKAGES); do \
	  (cd examples/toolbox-plugin-$$package && ../../build/venv/bin/pytest -rs) || exit 1; \
	done
	cd build && venv/bin/pytest $(KINDS:%=new-%)
	cd build && venv/bin/toolbox restore ../examples/photos/coffee.png -o coffee.png --scale 1.5
	cd build && venv/bin/toolbox doctor

$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv .tox out site dist build
