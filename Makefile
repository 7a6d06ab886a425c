# Two commands for a newcomer: `make demo` and `make test`. VENV=DIR reuses an environment, PYTHON=… chooses the interpreter,
# CPU=1 leaves out CUDA. CPU_CLASS=avx2 tests as on a CPU without AVX512 and bf16.
VENV ?= .venv
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do command -v $$p >/dev/null 2>&1 && \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
# A command of the environment, as it can be typed.
shown = $(if $(word 2,$(VENV)),'$(VENV)/bin/$(1)',$(VENV)/bin/$(1))
# Of `make ui`; by default a free one.
PORT ?=
# Of test, test-unit and test-slow: native computes with all that the CPU has, and avx2 as one that has no more than that (x86 alone).
# Torch has kernels of its own, oneDNN's and MKL's. Tests end with a line on what they ran under.
CPU_CLASS ?= native
UNDER_native :=
UNDER_avx2 := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2
CPU_CLASSES := native avx2
ifneq ($(words $(CPU_CLASS))-$(words $(filter $(CPU_CLASSES),$(CPU_CLASS))),1-1)
$(error CPU_CLASS must be one of $(CPU_CLASSES), but got '$(CPU_CLASS)')
endif
PYTEST := $(UNDER_$(CPU_CLASS)) "$(VENV)/bin/pytest"
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
	$(PYTEST) -q -m "not slow" $(TWO_AT_A_TIME)

test-unit: install
	$(PYTEST) -q tests/unit

test-slow: install
	$(PYTEST) -q -m slow --ignore=tests/faults --ignore=tests/surroundings
	$(PYTEST) -q -m slow $(TWO_AT_A_TIME) tests/faults tests/surroundings

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
