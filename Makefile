# Everything is installed into .venv, from the versions in constraints.txt; nothing else is touched.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMPS := $(VENV)/stamps
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test lab check format bench constraints clean

demo: $(STAMPS)/demo
	@$(BIN)/daytona-kernel demo

lab: $(STAMPS)/lab
	@$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root) notebooks/quickstart.ipynb

test: $(STAMPS)/test check
	@$(BIN)/python -m pytest

check: $(STAMPS)/test
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy

format: $(STAMPS)/test
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(STAMPS)/test
	@$(BIN)/python -m benchmarks.kernel

# The newest versions of everything, for the next constraints.txt. Run it with the oldest Python that is
# to be served, as Debian's 3.11.2: a newer one may be given versions that this cannot have.
constraints:
	@tools/freeze "$(PYTHON)" > constraints.txt

clean:
	rm -rf $(VENV) build

$(VENV)/bin/python:
	@tools/make-venv "$(PYTHON)" $(VENV)

$(STAMPS)/%: $(VENV)/bin/python pyproject.toml constraints.txt kernelspec/kernel.json
	@echo "Installing daytona-kernel[$*] into $(VENV) …"
	@$(PIP) --editable '.[$*]'
	@mkdir -p $(STAMPS) && touch $@

# Browser tests need Chromium, and sandboxes are isolated where bubblewrap is there.
$(STAMPS)/test: | system-packages
.PHONY: system-packages
system-packages:
	@tools/install-system-packages chromium bubblewrap
