# `make help` lists the commands. The first one that is called sets up the environment.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# On all cores. Each Airflow that the tests start belongs to one worker of pytest.
PYTEST := $(BIN)/python -m pytest -n logical
# Distributions of their own, whose entry points add commands to sagemaker-pipelines.
PACKAGES := sagemaker_compile sagemaker_local_runtime
# The lines of uv in the lock: its version and its hashes. pip takes hashes from requirements only.
INSTALL_UV := $(PYTHON) -m venv $(VENV) \
	&& sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > $(VENV)/uv.txt \
	&& $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt
# Every page is read again, since a change of one may break the links of another. A warning is an error.
SPHINX := AIRFLOW_HOME=$(CURDIR)/.state/airflow $(BIN)/sphinx-build --quiet --fresh-env --fail-on-warning
REQUIREMENTS := requirements.txt requirements-local.txt requirements-cluster.txt requirements-dev.txt

# make run MSE_THRESHOLD=3.0 shows a rejection.
MSE_THRESHOLD ?= 6.0
OPERATORS ?= ours provider
AIRFLOW_PORT ?= 8080
RUNTIME_PORT ?= 4566
export AIRFLOW_PORT RUNTIME_PORT

.DEFAULT_GOAL := help
.PHONY: help setup lock run demo demo-champion up down doctor test test-thorough test-all test-long check docs format compile package bench crash-matrix backfill-test page-test cluster-test version-test history-test image-test clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## Create the virtual environment in .venv, unless it is up to date

$(STAMP): constraints.txt $(PACKAGES:%=%/pyproject.toml)
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else f"Python 3.11 or newer is needed; {sys.executable} is {v.major}.{v.minor}. Set PYTHON=/path/to/python3.11.")'
	@echo "Setting up $(VENV) (about a minute, once) ..."
	@$(INSTALL_UV)
	@# The lock is complete, so nothing is resolved; a file with another hash is refused.
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --require-hashes -r constraints.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation $(PACKAGES:%=--editable ./%)
	@# The checkout and plugins/ are on the path of this environment, like plugins/ in Airflow.
	@$(BIN)/python -c 'import pathlib, sysconfig; root = pathlib.Path.cwd(); pathlib.Path(sysconfig.get_path("purelib"), "project.pth").write_text("{0}\n{0}/plugins\n".format(root))'
	@# Without bytecode, every Airflow process and task takes about a second longer to start.
	@$(BIN)/python -m compileall -q -j0 $(VENV)/lib > /dev/null || true
	@touch $@

run: setup ## Compile, then execute the abalone pipeline without Airflow [MSE_THRESHOLD=6.0]
	@$(BIN)/python -m sagemaker_compile
	@$(BIN)/python -m stack run --mse-threshold $(MSE_THRESHOLD)

demo: setup ## Train, branch on the MSE and score through a real Airflow [MSE_THRESHOLD=6.0]
	@$(BIN)/python -m stack demo --mse-threshold $(MSE_THRESHOLD)

demo-champion: setup ## Compare three generations of a model, approve and score them, through a real Airflow
	@$(BIN)/python -m stack demo-champion

up: setup ## Start Airflow and the local runtime, and keep them running [AIRFLOW_PORT=8080 RUNTIME_PORT=4566]
	@$(BIN)/python -m stack up

down: setup ## Stop what `make up` started
	@$(BIN)/python -m stack down

doctor: setup ## Check an AWS account with read-only calls, and say what is missing
	@AIRFLOW_HOME=$${AIRFLOW_HOME:-$(CURDIR)/.state/airflow} $(BIN)/python -m sagemaker_pipelines doctor

bench: setup ## Measure and print executions, Airflow's overhead and parse times
	@$(BIN)/python -m benchmarks

crash-matrix: setup ## Kill Airflow's processes during starts and waits; writes docs/crash_matrix.md [OPERATORS=ours]
	@$(BIN)/python -m tests.e2e.crash $(addprefix --operators ,$(OPERATORS)) --write docs/crash_matrix.md

cluster-test: setup ## Kill a cluster part by part, with two schedulers (needs PostgreSQL and Redis)
	@CLUSTER_TEST=full $(PYTEST) tests/distributed

history-test: setup ## Run 20,000 random histories of starts, kills and clears, and smoke with a fault in each call
	@$(PYTEST) -m long tests/unit

version-test: setup ## Test the wheel with the oldest and the newest supported Airflow and Amazon provider
	@$(PYTEST) -m long tests/packaging

image-test: setup ## Train and score with PyTorch on the CPU (downloads 3 GB once)
	@$(PYTEST) -m long tests/runtime/jobs

lock: ## Resolve requirements*.txt into constraints.txt, with the hash of every file
	@$(INSTALL_UV)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header --override overrides.txt --override overrides-dev.txt $(REQUIREMENTS) -o constraints.txt

check: setup ## Check formatting, lint, types, import contracts, the committed definitions and the documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python -m sagemaker_compile --check
	@$(SPHINX) -b dummy docs build/docs-check

docs: setup ## Build the documentation into build/docs, from where it can be read and searched offline
	@$(SPHINX) -b html docs build/docs
	@echo "Open build/docs/index.html"

format: setup ## Format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

compile: setup ## Compile the pipelines in pipeline_src/ into dags/definitions/
	@$(BIN)/python -m sagemaker_compile

package: setup ## Build dist/*.whl for an existing Airflow or a project of your own, and dist/mwaa/ [AIRFLOW=3.3.1, the newest of MWAA]
	@$(BIN)/python -m stack.package $(addprefix --airflow ,$(AIRFLOW))

test: setup ## Run the tests that take minutes: units, the local runtime and one Airflow
	@# One worker mostly waits for its Airflow.
	@$(PYTEST) -n $$(($$(getconf _NPROCESSORS_ONLN) + 1)) -m "not thorough and not long"

test-thorough: setup ## Run the other tests for every change: crashes, kills, events, browser, packaging, cluster
	@$(PYTEST) -m "thorough and not long"

test-all: setup ## Run `make test` and `make test-thorough` in one go
	@$(PYTEST)

test-long: crash-matrix backfill-test page-test cluster-test version-test history-test image-test ## Run the tests that are slow by nature, one after the other

backfill-test: setup ## Backfill 30 days with a quota of four: once, again, and cancelled
	@$(PYTEST) -m long tests/e2e/backfill

page-test: setup ## Compare each number on the page with the records of a month of real runs (needs Chromium)
	@$(PYTEST) -m long tests/e2e/month

clean: ## Remove the environment and all local state
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m stack down || true; fi
	rm -rf $(VENV) .state dist build
