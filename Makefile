# make bench: compare MaxPool with strided convolution in every model, in minutes on a CPU
# make test:  the tests                make lint: formatter, linter, type checker
# make smoke: every benchmark once     make install: only the virtual environment, in .venv
# make faults: faults injected into runs, as docs/reliability.md lists them; ten minutes
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m

.PHONY: bench test lint smoke faults install clean

bench: $(VENV)/installed
	$(RUN) pytest bench -k stride

test: $(VENV)/installed
	$(RUN) pytest tests -n auto --dist worksteal

smoke: $(VENV)/installed
	$(RUN) pytest bench --profile smoke

faults: $(VENV)/installed
	$(VENV)/bin/python tools/faults.py

lint: $(VENV)/installed
	$(RUN) ruff format --check .
	$(RUN) ruff check .
	$(RUN) mypy

install: $(VENV)/installed

# The stamp is written last, so an interrupted installation is repeated.
$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(RUN) pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
