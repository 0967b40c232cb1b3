# Every target except `system-packages` writes only to this folder: tools and packages go to .venv, at the
# versions in constraints.txt. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt
# A folder of its own: what is in the environment is in the sandboxes of the tests, too.
UV := $(VENV)/uv
# Most tests wait for other processes, so three more than there are cores keep the cores busy.
WORKERS ?= $(shell echo $$(($$(nproc) + 3)))
MINUTES ?= 20
PYTEST := $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadgroup --no-loadscope-reorder
# Tests need Chromium for pages, bubblewrap and slirp4netns for isolated sandboxes, and mmdebstrap for images, for which
# an ordinary user needs uidmap. Debian packages venv.
SYSTEM_PACKAGES := chromium bubblewrap slirp4netns python3-venv mmdebstrap uidmap

.DEFAULT_GOAL := demo
.PHONY: help demo lab quick test tests test-daytona test-faults test-images test-root check format coverage bench soak pictures constraints agent-packages system-packages clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' Makefile

demo: $(STAMPS)/demo ## execute notebooks/quickstart.ipynb through the kernel (the default)
	@$(BIN)/daytona-kernel demo

lab: $(STAMPS)/lab ## open JupyterLab with the demos
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/quickstart.ipynb

quick: $(STAMPS)/test ## run the linter and the tests without kernel or browser, in a minute
	@$(BIN)/ruff check --quiet --output-format concise
	@$(BIN)/ruff format --quiet --check
	@$(PYTEST) -m "not kernel and not browser and not slow" --hypothesis-profile quick --durations=5

# The checks use one core, and the tests use the other one meanwhile.
test: $(STAMPS)/test ## run every check and every test
	@tools/system-packages $(SYSTEM_PACKAGES)
	@$(MAKE) --no-print-directory --jobs 2 check tests

tests:
	@$(PYTEST)

test-faults: $(STAMPS)/test ## run the whole matrix of faults, in a quarter of an hour
	@$(PYTEST) --numprocesses $(shell nproc) -m "faults or not faults" tests/faults/test_matrix.py

# Which tests have their own profile stands in tests/conftest.py.
test-daytona: $(STAMPS)/test ## run the tests of client, magics, logs and kernel with servers that behave as Daytona's do
	@tools/system-packages $(SYSTEM_PACKAGES)
	@DAYTONA_KERNEL_PROFILE=daytona $(PYTEST) tests/client tests/magics tests/views tests/kernel

test-images: $(STAMPS)/test ## run the tests on images of sandboxes; `make test` has a part of them
	@tools/system-packages $(SYSTEM_PACKAGES)
	@$(PYTEST) -m "libraries or not libraries" tests/images

test-root: $(STAMPS)/test ## run the tests that behave differently for root, or need it; run it as root
	@$(PYTEST) -m root

check: $(STAMPS)/test ## run the linters and the type checker
	@$(BIN)/ruff check --output-format concise
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/shellcheck $(SCRIPTS)
	@$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	@$(if $(wildcard tools/check-javascript),tools/check-javascript)

SCRIPTS := .ci/run $(shell grep -lE '^\#!(/bin/sh|/usr/bin/env bash)' tools/*)

format: $(STAMPS)/test ## format the code, and fix what the linter can
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

coverage: $(STAMPS)/test ## report which lines the tests run, in all processes outside of sandboxes
	@$(BIN)/coverage erase
	-@$(BIN)/coverage run -m pytest $(TESTS)
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage html --quiet --directory build/coverage
	@$(BIN)/coverage report

bench: $(STAMPS)/test ## compare cells and kernels with ipykernel
	@$(BIN)/python -m benchmarks.kernel

soak: $(STAMPS)/test ## work at random with one kernel for MINUTES (20), and fail if anything grows
	@$(BIN)/python -m benchmarks.soak --minutes $(MINUTES)

pictures: $(STAMPS)/test ## take the documentation's pictures again
	@$(BIN)/python tools/pictures

# Run it with the oldest supported Python: a newer one may get versions that the oldest cannot install.
constraints: ## write the newest versions of all packages to constraints.txt
	@tools/freeze "$(PYTHON)" > build-constraints.txt && mv build-constraints.txt constraints.txt

agent-packages: $(STAMPS)/test $(UV) ## write the newest packages for bare sandboxes to daytona_kernel/agent/requirements.txt
	@PATH="$(UV)/bin:$(BIN):$$PATH" $(BIN)/python tools/lock-agent-packages

system-packages: ## as root, install Debian's packages that the tests need; otherwise list them
	@tools/system-packages --install $(SYSTEM_PACKAGES)

clean: ## delete .venv and everything that was built
	rm -rf $(VENV) build dist

$(VENV)/bin/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(UV): $(VENV)/bin/python constraints.txt
	@$(PIP) --upgrade --target $@ uv
	@touch $@

# uv takes half of pip's time. pip knows settings that uv does not, such as an index in pip.conf.
$(STAMPS)/%: $(UV) pyproject.toml kernelspec/kernel.json
	@echo "Installing daytona-kernel[$*] into $(VENV) …"
	@$(UV)/bin/uv pip install --quiet --compile-bytecode --python $(BIN)/python --constraint constraints.txt \
	  --editable '.[$*]' || $(PIP) --editable '.[$*]'
	@mkdir -p $(STAMPS) && touch $@
