# make bench: compare MaxPool with strided convolution in every model, in minutes on a CPU
# make test:  the tests                make lint: formatter, linter, type checker
# make smoke: every benchmark once     make install: only the virtual environment, in .venv
# make test-oldest: the tests with the oldest declared version of every dependency, in .venv-oldest
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m

# The oldest versions have wheels for the oldest declared Python.
OLDEST_PYTHON ?= python3.11
OLDEST ?= .venv-oldest

.PHONY: bench test test-oldest lint smoke install clean

bench: $(VENV)/installed
	$(RUN) pytest bench -k stride

test: $(VENV)/installed
	$(RUN) pytest tests -n auto --dist worksteal

test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest tests -n auto --dist worksteal

smoke: $(VENV)/installed
	$(RUN) pytest bench --profile smoke

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

# Of what the project does not require itself, the newest: its own floors are not ours to test.
$(OLDEST)/installed: pyproject.toml
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/python -m uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
