# Two commands for a newcomer: `make demo` and `make test`. VENV=DIR reuses an environment, PYTHON=… chooses the interpreter.
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# A file that is as new as what was installed. It is no target: a target's name cannot hold a space, but a folder's can.
INSTALLED := $(VENV)/.depth-vs-tricks-installed
SHOWN := $(VENV)/bin/python
ifneq ($(word 2,$(VENV)),)
SHOWN := '$(SHOWN)'
endif
CONSTRAINTS ?= constraints.txt
PORT ?= 5000
# Two files at a time, since most tests wait for processes more than they compute. (`--dist loadgroup` does nothing with
# pytest 9.2: pytest-xdist issue 1386.)
TWO_AT_A_TIME := -n 2 --dist loadfile

.PHONY: demo test test-unit test-slow lint ui install

demo: install
	"$(VENV)/bin/python" sweeps/depth_vs_tricks.py --preset demo
	@echo
	@echo "Next:  make ui                                        compare the runs in MLflow"
	@echo "       $(SHOWN) sweeps/depth_vs_tricks.py   the real sweep (--help for its options)"

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
	@echo "MLflow: http://127.0.0.1:$(PORT)/#/experiments?workflowType=machine_learning   (Ctrl-C ends it)"
	@MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true "$(VENV)/bin/mlflow" server --host 127.0.0.1 --port $(PORT) \
	  --workers 1 --backend-store-uri "sqlite:///$(CURDIR)/mlruns/mlflow.db" --artifacts-destination "$(CURDIR)/mlruns/artifacts"

install:
	@test -n "$(PYTHON)" || { echo "error: Python 3.11 or newer is needed, but none was found: install it, or pass PYTHON=..."; exit 2; }
	@if test "$(INSTALLED)" -nt pyproject.toml && test "$(INSTALLED)" -nt constraints.txt; then exit 0; fi; set -ex; \
	test -x "$(VENV)/bin/python" || "$(PYTHON)" -m venv "$(VENV)"; \
	"$(VENV)/bin/python" -m pip install -q --disable-pip-version-check -c "$(CONSTRAINTS)" -e '.[dev]'; \
	touch "$(INSTALLED)"
