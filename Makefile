# Every command a developer or a first visitor needs; `make` alone lists them.
#
#   make PYTHON=/usr/bin/python3.12 test     use another interpreter (3.11, 3.12 or 3.13)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/autoslicer
OWN_UV := $(CACHE)/uv/bin/uv
# uv from PATH where there is one, else the private one that the target `uv` installs
UV := $(or $(shell command -v uv 2>/dev/null),$(OWN_UV))
BOOTSTRAP := $(or $(PYTHON),python3)
ifdef PYTHON
export UV_PYTHON := $(PYTHON)
endif

.PHONY: help
help: ## List these targets
	@echo "usage: make TARGET [PYTHON=/path/to/python3.x]"; echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: demo
demo: uv ## See the main job end to end on a virtual cluster (under a minute; no Kubernetes, no GPU, no root)
	@"$(UV)" run --locked --no-dev python -m simulations.demo

.PHONY: test
test: sync ## Build the test cluster's tools the first time, then run every test
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m pytest $(ARGS)

.PHONY: lint
lint: sync ## ruff, mypy --strict and the layers between the packages
	@"$(UV)" run --no-sync ruff check
	@"$(UV)" run --no-sync ruff format --check
	@"$(UV)" run --no-sync mypy
	@"$(UV)" run --no-sync lint-imports

.PHONY: fmt
fmt: sync ## Format the code and sort its imports
	@"$(UV)" run --no-sync ruff check --fix
	@"$(UV)" run --no-sync ruff format

.PHONY: cluster
cluster: sync ## Leave a test cluster running (real control plane, real mig-manager) and print its KUBECONFIG
	@"$(UV)" run --no-sync python -m tests.cluster

.PHONY: chaos
chaos: sync ## Kills in every phase of real changes, faults by the hundred, and what must hold (an hour; ARGS="--seed 7")
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m tests.chaos $(ARGS)

.PHONY: bench
bench: sync ## Measure our own share of the time to a slice on the real control plane (a minute or two)
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m benchmarks.own_share $(ARGS)

.PHONY: bench-calm
bench-calm: sync ## A minute of rest and two of storm on the real control plane: what is written, what waits, what grows
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m benchmarks.calm $(ARGS)

.PHONY: bench-planner
bench-planner: sync ## Compare our plans with first-fit, best-fit and nos on generated clusters (minutes)
	@"$(UV)" run --no-sync python -m benchmarks.planner $(ARGS)

.PHONY: bench-fidelity
bench-fidelity: sync ## See whether pods get the slices that were cut for them beside older rivals (half an hour)
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m benchmarks.fidelity $(ARGS)

.PHONY: bench-agreement
bench-agreement: sync ## Live one trace on the real control plane and in virtual time, and compare (25 minutes)
	@"$(UV)" run --no-sync python -m tests.cluster.tools
	@"$(UV)" run --no-sync python -m benchmarks.agreement $(ARGS)

.PHONY: docs
docs: sync ## Write the module list of docs/architecture.md anew
	@"$(UV)" run --no-sync python -m tests.architecture --write

.PHONY: clean
clean: ## Remove what the tools left in the checkout (the built test tools in the cache stay)
	@rm -rf .venv dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: sync
sync: uv
	@"$(UV)" sync --locked

.PHONY: uv
uv:
	@if [ ! -x "$(UV)" ]; then \
	  command -v "$(BOOTSTRAP)" >/dev/null || { \
	    echo "$(BOOTSTRAP) is not there; autoslicer needs Python 3.11, 3.12 or 3.13 (Debian: apt-get install python3 python3-venv)" >&2; exit 1; }; \
	  "$(BOOTSTRAP)" -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(BOOTSTRAP) has no venv module; install it (Debian: apt-get install python3-venv)" >&2; exit 1; }; \
	  echo "uv is not installed: putting it into $(CACHE)/uv (once) ..." >&2; \
	  mkdir -p "$(CACHE)"; \
	  "$(BOOTSTRAP)" -m venv --clear "$(CACHE)/uv"; \
	  "$(CACHE)/uv/bin/python" -m pip install --quiet --disable-pip-version-check uv; \
	fi
