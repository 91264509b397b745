# make bench: compare MaxPool with strided convolution in every model, in minutes on a CPU
# make test:  the tests                make lint: formatter, linter, type checker
# make test-slow: the tests that start whole commands
# make smoke: every benchmark once     make install: only the virtual environment, in .venv
# make faults: faults injected into runs, as docs/reliability.md lists them
# make test-oldest: the tests with the oldest declared version of every dependency, in .venv-oldest
# make costs: measures what results/costs/ holds, half an hour on an idle CPU
PYTHON ?= python3
VENV ?= .venv
RUN = $(VENV)/bin/python -m

# The oldest versions have wheels for the oldest declared Python.
OLDEST_PYTHON ?= python3.11
OLDEST ?= .venv-oldest

MEASURED = results/runs/costs

.PHONY: bench test test-slow test-oldest lint smoke costs faults install clean

bench: $(VENV)/installed
	$(RUN) pytest bench -k stride

test: $(VENV)/installed
	$(RUN) pytest tests -n auto --dist worksteal

test-slow: $(VENV)/installed
	$(RUN) pytest tests -n auto --dist worksteal --slow -m slow

test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest tests -n auto --dist worksteal --slow

smoke: $(VENV)/installed
	$(RUN) pytest bench --profile smoke

faults: $(VENV)/installed
	$(VENV)/bin/python -m tools.faults

costs: $(VENV)/installed
	rm -rf $(MEASURED)
	$(RUN) pytest bench -k "engine or latency or throughput or scaling or resident" --profile full --device cpu \
		--results-dir $(MEASURED)
	cp $(MEASURED)/tables/engine.md $(MEASURED)/tables/engine.csv results/costs/
	cp $(MEASURED)/tables/inference.md $(MEASURED)/tables/inference.csv results/costs/
	cp $(MEASURED)/tables/scaling.md $(MEASURED)/tables/scaling.csv results/costs/
	cp $(MEASURED)/tables/resident-memory.md $(MEASURED)/tables/resident-memory.csv results/costs/
	cp $(MEASURED)/plots/scaling.png $(MEASURED)/plots/scaling.svg results/costs/
	grep '"kind":"engine"' $(MEASURED)/costs.jsonl > results/costs/engine.jsonl

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
	rm -rf $(OLDEST)
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet uv
	$(OLDEST)/bin/python -m uv pip install --quiet --python $(OLDEST)/bin/python \
		--resolution lowest-direct --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) build *.egg-info .mypy_cache .pytest_cache .ruff_cache
