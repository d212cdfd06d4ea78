PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
BASE := .venv-base
LOWEST_TESTS := $(addprefix tests/,contract/test_examine.py contract/test_findings.py contract/test_quiet.py intervals \
	settings/test_options.py settings/test_kafka_address.py store/test_listing.py store/test_archive.py \
	store/test_s3_configuration.py reading/test_decode.py reading/test_scan.py \
	reading/test_scans_meet.py reading/compaction/test_same_rows.py reports analysis/test_shadow_prices.py \
	feeds/test_contracts.py reading/test_feeds.py::test_the_recorded_bodies_give_their_figures \
	collecting/test_announce.py::TestMessage collecting/test_registry.py)
DATA ?= data
SIMULATED ?= simulated
FEED ?= simulated
SPEED ?= 1
SEED ?=
# Fewer try the bench out; docs/measured.md quotes a year.
BENCH_DAYS ?= 365
BENCH_ROUNDS ?= 5
# More options of the soak: --undisturbed shows that it fails when nothing strikes.
SOAK ?=
# Empty where the coverage is not to be held: tracing is a tenth of the tests' time.
COVERAGE ?= --cov --cov-report=term
TESTS ?= not services
# The installer, pinned.
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help install setup demo collect up notebook notebooks jitter soak test quick test-services test-lowest base check format lock bench readme clean

help: ## Show what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.runs ## Make the virtual environment with what collecting and the flows take, at locked versions

setup: $(VENV)/.ready ## Add the rest to it: notebooks, Dask, and what tests and checks take

# What collecting and the flows take. uv checks the hashes of constraints as it does those of requirements.
$(VENV)/.runs: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed: make PYTHON=python3.12")'
	@echo "Installing what a run takes into $(VENV), once: about half a minute"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --constraint requirements.lock \
		-r pyproject.toml --extra prefect --extra kafka hatchling editables
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

# The rest: notebooks, Dask, and what tests and checks take. Compiled, so that no test's first start has to.
$(VENV)/.ready: $(VENV)/.runs
	@echo "Installing the rest into $(VENV), once: about half a minute more"
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements.lock
	@touch $@

demo: $(VENV)/.runs ## Collect a simulated hour into ./data: no service, no internet
	@$(BIN)/python -m flows.demo "$(DATA)"

collect: $(VENV)/.runs ## Collect one live snapshot into ./data
	@$(BIN)/miso-archive collect --local "$(DATA)"

up: $(VENV)/.runs ## Run the whole system until Ctrl-C: FEED=simulated (into ./simulated; SPEED, SEED) or FEED=live (into ./data)
	@exec $(BIN)/python -m flows.up "$(if $(filter live,$(FEED)),$(DATA),$(SIMULATED))" --feed $(FEED) --speed $(SPEED) $(if $(SEED),--seed $(SEED))

notebook: setup ## Open the notebooks in JupyterLab, on ./data (the demo's, unless something is there)
	@test -d "$(DATA)/sourcing" || $(BIN)/python -m flows.demo "$(DATA)"
	@MISO_ARCHIVE="$(abspath $(DATA))" $(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks

notebooks: setup ## Run the notebooks on simulated data; write their outputs and README's plot anew
	@$(BIN)/python -m tests.tools.notebooks

# Two workers here and for the second tier: the tests wait more than they compute. By file, since many of them share what
# takes seconds to make, and in their order: else short files of long tests come last, and one worker waits.
test: setup check ## Check types and style, run the tests on embedded services, hold the coverage
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "$(TESTS)" $(COVERAGE) --durations=15

quick: setup ## Run, within two minutes, the tests that take neither Prefect's engine, servers, notebooks nor patience
	$(BIN)/python -m pytest -q -n auto -m "not (services or engine or servers or notebooks or slow)"

test-services: setup ## Run the second tier on real servers (tests/services/install-services.sh installs them)
	$(BIN)/uv pip install --quiet --python $(BIN)/python --group services
	$(BIN)/python -m tests.services $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m services --durations=15

test-lowest: setup ## Run what reads, checks and archives on the lowest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(LOWEST)
	$(BIN)/uv pip install --quiet --python $(LOWEST)/bin/python --resolution lowest-direct --editable '.[prefect,kafka,simulate]' --group dev
	$(LOWEST)/bin/python -m pytest -m "not (services or servers or slow)" $(LOWEST_TESTS)

base: setup ## Install the wheel alone into an empty environment, read a folder with it; list its packages and their size
	rm -rf $(BASE)
	$(BIN)/uv build --quiet --wheel --python $(BIN)/python --no-build-isolation --out-dir $(BASE) .
	$(BIN)/uv venv --quiet --python $(BIN)/python $(BASE)/venv
	$(BIN)/uv pip install --quiet --python $(BASE)/venv/bin/python --constraint requirements.lock $(BASE)/*.whl
	cd $(BASE) && venv/bin/miso-archive simulate --archive day --days 1
	cd $(BASE) && venv/bin/miso-archive coverage --local day
	cd $(BASE) && venv/bin/miso-archive read --local day --format csv | wc -l
	cd $(BASE) && venv/bin/miso-archive validate day/sourcing | wc -l
	cd $(BASE) && venv/bin/python -c 'import miso_archive; print(len(miso_archive.scan_constraints("day").collect()), "binding")'
	@$(BIN)/uv pip list --quiet --python $(BASE)/venv/bin/python
	@echo "$$($(BIN)/uv pip list --quiet --python $(BASE)/venv/bin/python --format freeze | wc -l) packages, $$(du -sm $(BASE)/venv/lib | cut -f1) MB"

check: setup ## Check types, style and which room imports which
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy

format: setup ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup ## Measure starts beside an earlier commit (installed into .bench once), a run's own work, the reader, the notebooks
	@$(BIN)/python -m tests.bench.start --rounds $(BENCH_ROUNDS) || failed=1; \
	$(BIN)/python -m tests.bench || failed=1; \
	$(BIN)/python -m tests.bench.read --days $(BENCH_DAYS) --rounds $(BENCH_ROUNDS) || failed=1; \
	$(BIN)/python -m tests.bench.notebooks --days $(BENCH_DAYS) || failed=1; exit $${failed:-0}

jitter: setup ## Show, on a virtual clock, how many intervals a month's polling keeps
	@$(BIN)/python -m tests.tools.jitter

soak: setup ## Make a thousand runs among faults, and write the documentation's account of them anew
	@$(BIN)/python -m tests.soak --runs 1000 --seed 1 --record $(SOAK)
	@$(BIN)/python -m tests.tools.documentation soak

readme: setup ## Write the documentation's generated parts anew
	$(BIN)/python -m tests.tools.documentation

lock: setup ## Lock the newest versions that go together
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra all --group dev pyproject.toml --output-file requirements.lock

clean: ## Remove the virtual environment and caches; data stays
	rm -rf $(VENV) $(LOWEST) $(BASE) .bench .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
