# Two commands for a newcomer: `make demo` and `make test`. VENV=DIR reuses an environment, PYTHON=… chooses the interpreter,
# CPU=1 leaves out CUDA.
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# A command of the environment, as it can be typed.
shown = $(if $(word 2,$(VENV)),'$(VENV)/bin/$(1)',$(VENV)/bin/$(1))
# Of `make ui`; by default a free one.
PORT ?=
# Two files at a time, since most tests wait for processes more than they compute. (`--dist loadgroup` does nothing with
# pytest 9.2: pytest-xdist issue 1386.)
TWO_AT_A_TIME := -n 2 --dist loadfile

.PHONY: demo test test-unit test-slow lint ui install pins

demo: install
	"$(VENV)/bin/python" sweeps/depth_vs_tricks.py --preset demo
	@echo
	@echo "Next:  $(call shown,dvt) report --open"
	@echo "           opens the report"
	@echo "       $(call shown,dvt) best photos/"
	@echo "           finds the best model for your own photos, in one folder per class"
	@echo "       make ui"
	@echo "           compares the runs in MLflow"

test: install lint
	"$(VENV)/bin/pytest" -q -m "not slow" $(TWO_AT_A_TIME)

test-unit: install
	"$(VENV)/bin/pytest" -q tests/unit

test-slow: install
	"$(VENV)/bin/pytest" -q -m slow --ignore=tests/faults --ignore=tests/surroundings
	"$(VENV)/bin/pytest" -q -m slow $(TWO_AT_A_TIME) tests/faults tests/surroundings

lint: install
	"$(VENV)/bin/ruff" check .
	"$(VENV)/bin/ruff" format --check .
	"$(VENV)/bin/mypy"
	"$(VENV)/bin/lint-imports"

ui: install
	@"$(VENV)/bin/dvt" ui $(if $(PORT),--port $(PORT))

install:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed, but none was found: install it, or pass PYTHON=..."; exit 2; }
	@"$(PYTHON)" .ci/install.py --venv "$(VENV)" $(if $(filter 1,$(CPU)),--cpu)

# The newest versions that fit together, for constraints.txt and pyproject.toml.
pins: install
	PATH="$(abspath $(VENV))/bin:$$PATH" "$(VENV)/bin/python" .ci/pins.py --upgrade
