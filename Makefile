# make help tells what there is. Everything is set up in .venv; nothing outside this folder is changed.
PYTHON ?= python3
VENV ?= .venv
OUT ?= demo-out
FUZZ_SECONDS ?= 600
TEST_CORES ?= auto
# ARGS: more arguments for pytest, the benchmark or the fuzzer, as in: make test ARGS='-k session -x'
ARGS ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip
READY := $(VENV)/.ready
TESTED := .cache/tests-passed
SAMPLE := src/headwater/samples/pmacctd.ipfix
TOP_PORTS := select proto(protocolIdentifier) as protocol, destinationTransportPort as port, count(*) as flows, sum(octetDeltaCount) as octets from flows group by all order by octets desc limit 5
CODE := src tests bench fuzz scripts examples .ci setup.py
SOURCES := $(shell find src tests examples -type f -not -name '*.py[cod]' -not -name '*.so' -not -path '*.egg-info/*' 2>/dev/null) pyproject.toml setup.py

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE PYTHONPATH

say = @printf '\033[1m==> %s\033[0m\n' $(1)

.PHONY: help setup demo test slow check format lint types contract coverage corpus bench fuzz dist smoke clean

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(READY) ## .venv with headwater (editable, kernel compiled) and every tool

$(VENV)/pyvenv.cfg:
	$(call say,'making $(VENV) with $(PYTHON)')
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v >= (3, 11) else f"headwater needs Python 3.11 or later; $(PYTHON) is {v[0]}.{v[1]} (choose another: make PYTHON=python3.12 …)")'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) cannot make virtual environments (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.tools: $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(call say,'installing the libraries and tools of constraints.txt')
	@$(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt --upgrade pip
	@$(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt --group dev
	@touch $@

$(READY): $(VENV)/.tools setup.py pyproject.toml $(wildcard src/headwater/kernel/*.pyx src/headwater/kernel/*.px[di] src/headwater/transport/incoming/*.pyx)
	$(call say,'compiling the kernel and installing headwater from this folder')
	@$(PIP) install --quiet --disable-pip-version-check --constraint constraints.txt --no-build-isolation --editable '.[arrow,compression,sql,tui,metrics]'
	@touch $@

demo: $(READY) ## real flow records: as a table, what is in the file, to Parquet, the top talkers; then some collected live
	@mkdir -p $(OUT)
	$(call say,'headwater cat $(SAMPLE) -n 15')
	@$(BIN)/headwater cat $(SAMPLE) -n 15
	$(call say,'headwater info $(SAMPLE)')
	@$(BIN)/headwater info $(SAMPLE)
	$(call say,'headwater convert $(SAMPLE) $(OUT)/flows.parquet')
	@$(BIN)/headwater convert --force $(SAMPLE) $(OUT)/flows.parquet
	$(call say,'python examples/top_talkers.py $(OUT)/flows.parquet')
	@$(BIN)/python examples/top_talkers.py $(OUT)/flows.parquet
	@rm -rf $(OUT)/live
	$(call say,'python examples/collecting.py $(OUT)/live/')
	@$(BIN)/python examples/collecting.py $(OUT)/live/
	$(call say,'headwater query "$(TOP_PORTS)" $(OUT)/live/')
	@$(BIN)/headwater query "$(TOP_PORTS)" $(OUT)/live/

test: $(READY) ## the tests, but for those marked slow, on TEST_CORES cores
	$(call say,'pytest')
	@$(BIN)/python -m pytest -m 'not slow' -n $(TEST_CORES) --dist worksteal $(ARGS)
	@$(if $(ARGS),,mkdir -p $(dir $(TESTED)) && touch $(TESTED))

slow: $(READY) ## the tests marked slow
	$(call say,'pytest -m slow')
	@$(BIN)/python -m pytest -m slow $(ARGS)

# `make check` right after `make test` does not run the same tests on the same files again.
$(TESTED): $(SOURCES) | $(READY)
	@$(MAKE) --no-print-directory test ARGS=

check: format lint types contract $(TESTED) slow ## format, lint, types, the direction of imports, all tests
	$(call say,'all checks passed')

format: $(READY) ## is the code formatted? (mend: .venv/bin/ruff format)
	$(call say,'ruff format --check')
	@$(BIN)/ruff format --check $(CODE)

lint: $(READY) ## ruff
	$(call say,'ruff check')
	@$(BIN)/ruff check $(CODE)

types: $(READY) ## mypy --strict, and the stubs of what is compiled against the compiled modules
	$(call say,'mypy --strict')
	@$(BIN)/mypy
	@$(BIN)/stubtest --mypy-config-file pyproject.toml headwater.kernel._kernel
	@[[ $$(uname) != Linux ]] || $(BIN)/stubtest --mypy-config-file pyproject.toml headwater.transport.incoming._datagrams

contract: $(READY) ## imports point downwards only
	$(call say,'lint-imports')
	@$(BIN)/lint-imports --cache-dir .cache/import-linter

coverage: $(READY) ## branch coverage of the tests; at least 95 % of model, wire, session and batch
	$(call say,'pytest with branch coverage')
	@$(BIN)/python -m pytest -m 'not slow' --override-ini timeout=120 --cov --cov-report= $(ARGS)
	@$(BIN)/coverage report
	@$(BIN)/coverage report --fail-under=95 --format=total --include='src/headwater/model/*,src/headwater/wire/*,src/headwater/session/*,src/headwater/batch/*'

corpus: $(READY) ## every capture of ../shared/corpus against its truth, and written again, as tables
	@$(BIN)/python -m tests.corpus.summary $(ARGS)
	@$(BIN)/python -m tests.corpus.round_trips

bench: $(READY) ## headwater against C, libfixbuf, python-ipfix and netflume
	@$(BIN)/python bench/run.py $(ARGS)

fuzz: $(READY) ## what is compiled under address and undefined-behaviour sanitizers, for FUZZ_SECONDS
	@PYTHON=$(BIN)/python fuzz/run.sh $(FUZZ_SECONDS) $(ARGS)

dist: $(READY) ## sdist and wheel
	$(call say,'building sdist and wheel')
	@rm -rf dist build/lib* build/bdist*
	@mkdir -p .cache && { $(BIN)/python -m build --no-isolation > .cache/dist.log 2>&1 || { cat .cache/dist.log; exit 1; }; }
	@ls dist

smoke: dist ## the wheel, and the wheel built without a compiler, each in an empty environment
	$(call say,'trying the wheels in empty environments')
	@$(PYTHON) .ci/smoke.py dist

clean: ## remove everything that make has made
	rm -rf $(VENV) .cache build dist $(OUT) .hypothesis .coverage src/*.egg-info src/headwater/kernel/_kernel*.so src/headwater/transport/incoming/_datagrams*.so
	find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +
