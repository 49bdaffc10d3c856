# make demo: from a fresh clone to a leaderboard page.   make test: the tests.
# PYTHON chooses the interpreter (3.11 to 3.13), JOBS the number of trials, or tests, at once.
PYTHON ?= python3
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
DEMO := adamw nesterov_jax schedule_free_adamw

.PHONY: setup demo test test-browser test-full lint bench clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if (3, 11) <= v < (3, 14) else "pacebench needs Python 3.11 to 3.13, this is %d.%d; try make PYTHON=python3.12" % v[:2])'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all]"
	touch $@

demo: setup
	$(BIN)/pacebench run $(DEMO) --workload digits --rules dev --jobs $(JOBS) --out runs
	@echo
	$(BIN)/pacebench score runs
	@echo
	$(BIN)/pacebench report runs --out site

test: setup
	$(BIN)/python -m pytest -n $(JOBS)

# The website in Chromium, which apt installs if there is none and this is root.
test-browser: setup
	.ci/chromium
	$(BIN)/python -m pytest -m browser tests/browser

# Checks at full size: gigabytes and minutes; by hand.
test-full: setup
	XLA_FLAGS= OMP_NUM_THREADS=$(JOBS) $(BIN)/python -m pytest -m full --timeout 0

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# make bench DATA=DIR LOGS=DIR, where DATA holds mnist and LOGS AlgoPerf's v0.5 external_tuning
bench: setup
	$(BIN)/python -m benchmarks.scoring $(if $(LOGS),--logs $(LOGS))
	$(if $(LOGS),$(BIN)/python -m benchmarks.report --logs $(LOGS))
	$(BIN)/python -m benchmarks.clock_proof
	$(BIN)/python -m benchmarks.start
	$(BIN)/python -m benchmarks.images
	$(BIN)/python -m pytest -n $(JOBS) -m bench
	$(BIN)/python -m benchmarks.optimizers --framework torch
	$(BIN)/python -m benchmarks.optimizers --framework jax
	$(BIN)/python -m benchmarks.loop --framework torch --data-dir $(DATA)
	$(BIN)/python -m benchmarks.loop --framework jax --data-dir $(DATA) --steps 300

clean:
	rm -rf $(VENV) runs site
