# Everything a person or CI does with this repository; `make help` lists it.
#
# The environment lies in .venv. Each stamp in it names the inputs it was made from, and is
# written after the last step, so an interrupted install is repeated and a finished one is not.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.DEFAULT_GOAL := help

NAME ?= text
BIN := .venv/bin

# A version manager's shim can be on the PATH and still refuse to run, so each one is tried.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$python"; break; }; done)
endif

# Scripts in .venv name it by its full path, so a moved checkout needs a new one.
key = $(shell { echo '$(CURDIR) $(PYTHON)'; cat /dev/null $(1); } | sha256sum | cut -c1-16)
VENV := .venv/.made-$(call key)
RUNTIME := .venv/.runtime-$(call key,pyproject.toml requirements/runtime.txt)
DEV := .venv/.dev-$(call key,pyproject.toml requirements/runtime.txt requirements/dev.txt)

PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# Two makes at once take turns; whoever comes second finds the stamp.
TAKE_TURNS := exec 9<Makefile; flock 9; if [ -e $$stamp ]; then exit 0; fi

UNIT := not slow and not cluster and not chart and not image and not e2e
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_FLAGS)

.PHONY: help
help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: example
example: $(RUNTIME)  ## Set up, then train one of examples/ (NAME=text); about three minutes.
	@if [ ! -f 'examples/$(NAME).yaml' ]; then
	    echo "NAME=$(NAME): there is no examples/$(NAME).yaml. Known:" \
	        "$$(cd examples && echo *.yaml | sed 's/\.yaml//g')." >&2
	    exit 2
	fi
	$(BIN)/siamese-job train 'examples/$(NAME).yaml'

.PHONY: test
test: $(DEV) system lint  ## Set up, lint, then run every test; what CI runs.
	@$(BIN)/python -m pytest --cov --cov-report=term

.PHONY: unit
unit: $(DEV)  ## Only the fast tests: no training, no processes.
	@$(BIN)/python -m pytest -m '$(UNIT)'

.PHONY: lint
lint: $(DEV)  ## Formatting, ruff, layers, types, YAML, spelling, shell, file lengths.
	@$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy --no-error-summary
	$(BIN)/yamllint --strict .
	$(BIN)/codespell
	$(BIN)/shellcheck .ci/run
	find job -name '*.py' -exec wc -l {} + | awk '$$2 != "total" && $$1 > 300 \
	    { print $$2 ": " $$1 " lines; at most 300, split it"; bad = 1 } END { exit bad }'
	echo 'lint: clean'

.PHONY: fmt
fmt: $(DEV)  ## Format the code and apply the safe fixes.
	@$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: lock
lock: $(DEV)  ## Resolve pyproject.toml into requirements/ (LOCK_FLAGS=--upgrade for newer ones).
	@$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) pyproject.toml --extra dev --constraints requirements/runtime.txt \
	    --output-file requirements/dev.txt

.PHONY: clean
clean:  ## Remove .venv and caches; runs/ stays.
	@rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	    .import_linter_cache .coverage .coverage.* *.egg-info
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Tests read the metrics endpoint with promtool and Prometheus themselves.
.PHONY: system
system:
	@if command -v promtool >/dev/null && command -v prometheus >/dev/null; then exit 0; fi
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	    apt-get -qq update
	    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends prometheus
	else
	    echo 'promtool and prometheus are not on the PATH; tests that need them will say so.' \
	        'As root: apt-get install --no-install-recommends prometheus' >&2
	fi

$(VENV):
	@stamp=$@; $(TAKE_TURNS)
	if ! '$(PYTHON)' -c '$(SUPPORTED)' 2>/dev/null; then
	    echo "PYTHON is '$(PYTHON)' ($$('$(PYTHON)' --version 2>/dev/null || echo 'none found'));" \
	        'Python 3.11, 3.12 or 3.13 is needed. Install one, or name it:' \
	        'make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)' >&2
	    exit 2
	fi
	if ! '$(PYTHON)' -c 'import ensurepip, venv' 2>/dev/null; then
	    echo '$(PYTHON) cannot make virtual environments.' \
	        "As root: apt-get install $$('$(PYTHON)' -c \
	            'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2
	    exit 2
	fi
	echo 'Making .venv with $(PYTHON)'
	'$(PYTHON)' -m venv --clear .venv
	touch $@

$(RUNTIME): | $(VENV)
	@stamp=$@; $(TAKE_TURNS)
	echo 'Installing what the program needs into .venv (once; a minute or two)'
	rm -f .venv/.runtime-*
	$(PIP_INSTALL) --require-hashes -r requirements/runtime.txt
	# setuptools, the build backend, is in the lock: nothing is fetched to build the project.
	$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	touch $@

$(DEV): | $(RUNTIME)
	@stamp=$@; $(TAKE_TURNS)
	echo 'Installing what the tests need into .venv (once)'
	rm -f .venv/.dev-*
	$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	touch $@
