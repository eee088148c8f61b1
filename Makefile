# Each target works alone on a fresh machine that has Python 3.11 or newer and make; the first one called creates the environment.
# All paths are relative, so the checkout may lie in a folder whose name has spaces.
#   make test PYTHON=python3.13     with another interpreter, in an environment of its own: .venv-python3.13
#   make test WORKERS=4             processes that run tests side by side; the default suits 2 cores, as tests of processes mostly wait
ifneq ($(filter command override,$(origin PYTHON)),)
VENV := .venv-$(notdir $(PYTHON))
else
PYTHON := $(shell command -v python3.11 || command -v python3)
VENV := .venv
endif
WORKERS ?= 3
DEBIAN := git chromium fonts-wqy-microhei
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PADDLE := $(VENV)/.paddle
PYTEST := $(PY) -m pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help setup system demo test test-all test-fast lint bench clean

help:
	@echo "make demo       run the article's experiment (see README.md) in small and compare the runs (about 9 minutes on 2 cores); report.html shows them"
	@echo "make test       what every change must pass (about 17 minutes on 2 cores, those in a browser included)"
	@echo "make test-all   the exhaustive tests too: every PaddleDetection model, damage at every byte, fifty kills"
	@echo "make test-fast  the tests that take less than 10 seconds each"
	@echo "make system     Debian packages that some tests use ($(DEBIAN)); without them those tests are skipped"
	@echo "make lint       ruff, mypy --strict, import-linter"
	@echo "make bench      the benchmarks, one after the other"

setup: $(READY) $(PADDLE)

# Debian packages that tests use where they are there; only .ci/run calls this, as root
system:
	@dpkg --status $(DEBIAN) > /dev/null 2>&1 || { apt-get update --quiet && apt-get install --yes --no-install-recommends $(DEBIAN); }

$(READY): pyproject.toml constraints/dev.txt
	@test -n '$(PYTHON)' || { echo 'runner needs Python 3.11 or newer, and there is no python3 here'; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("runner needs Python 3.11 or newer, this is " + sys.version) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints/dev.txt --editable '.[dev]'
	@touch $(READY)

# Paddle lives in an environment of its own, which takes Python 3.11; where there is none, its tests are skipped
$(PADDLE): $(READY) constraints/paddle.txt
	@if $(PY) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || command -v python3.11 > /dev/null; \
	then $(PY) -P -m runner backend install paddle; \
	else echo 'no Python 3.11 here: the tests of the Paddle backend will be skipped'; fi
	@touch $(PADDLE)

demo: $(READY)
	$(PY) -P -m runner sweep sweeps/batchsize.yml
	$(PY) -P -m runner compare runs/batchsize
	$(PY) -P -m runner share runs/batchsize --force

test: $(READY) $(PADDLE)
	$(PYTEST) -m "not exhaustive"

test-all: $(READY) $(PADDLE)
	$(PYTEST)

test-fast: $(READY)
	$(PYTEST) -m "not slow and not exhaustive"

lint: $(READY)
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'

bench: $(READY) $(PADDLE)
	$(PY) -m benchmarks.startup
	$(PY) -m benchmarks.evaluation
	$(PY) -m benchmarks.training_step --amp off
	$(PY) -m benchmarks.training_step
	$(PY) -m benchmarks.sweep_scale --runs 400
	$(PY) -m benchmarks.optuna_cost
	$(PY) -m benchmarks.pruning
	$(PY) -m benchmarks.coverage
	$(PY) -m benchmarks.fresh_seeds
	@if $(PY) -P -m runner backend list | grep -q "^ *paddle *installed"; then $(PY) -m benchmarks.paddle_step; \
	else echo "no Paddle environment here: benchmarks.paddle_step is left out"; fi

clean:
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache
