# What people, pre-commit and CI run, by the same names. `make help` explains every target.
#
# Needs git, make and any Python from 3.8.1 on. uv is taken from PATH or put into .uv/; everything else
# goes into .venv* in this checkout.

SHELL := /bin/sh
.DEFAULT_GOAL := help

PACKAGES := $(sort $(notdir $(wildcard packages/*)))
SOURCES := $(sort $(wildcard packages/*/src))
WORKERS ?= 2
# Per cent of lines and branches that every package's tests must reach.
FLOOR ?= 90
OLDEST := 3.8

UV := sh .dev/uv
# --inexact: targets share .venv and each adds what it needs; `make clean` starts afresh.
SYNC := $(UV) sync --quiet --locked --inexact --all-packages --all-extras
RUN := $(UV) run --no-sync
# Files that Hugging Face libraries keep in the home directory stay in the checkout, and no test sees a
# token or a setting of the person who runs it.
CLEAN_ENV := env -u PYTHONDONTWRITEBYTECODE -u HF_TOKEN -u HUGGING_FACE_HUB_TOKEN -u HF_ENDPOINT -u HFL_ENDPOINT -u HFL_PROFILE -u HFL_OFFLINE \
	HF_HOME="$(CURDIR)/.cache/huggingface" HF_HUB_DISABLE_TELEMETRY=1 XDG_CACHE_HOME="$(CURDIR)/.cache"
TESTS := $(wildcard packages tests-e2e)
PYTEST := python -m pytest -n $(WORKERS)

.PHONY: help
help:  ## Show this list
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z][a-z0-9<>-]*:.*## / { printf "  %-16s %s\n", $$1, $$2 } \
		/^# help: / { split(substr($$0, 9), a, " = "); printf "  %-16s %s\n", a[1], a[2] }' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo "Packages: $(PACKAGES)"

##@ Use it
.PHONY: demo install hooks
demo: sync-test  ## Train, kill, resume and publish on this machine; needs no account
	@$(CLEAN_ENV) $(RUN) hfl demo $(ARGS)

install:  ## Install all packages and the development tools into .venv
	@$(SYNC) --group test $$($(UV) run --no-project python .dev/groups.py)
	@echo "Ready: .venv holds all packages. Try: .dev/uv run hfl --help"

hooks: sync-lint  ## Install the git hooks (they call the targets below)
	@$(RUN) pre-commit install

##@ Before a commit
.PHONY: format lint types imports security bandit
format: sync-lint  ## Rewrite the code as black, isort and ruff want it
	@$(RUN) ruff check --quiet --fix --exit-zero --output-format concise .
	@$(RUN) isort --quiet .
	@$(RUN) black --quiet .

lint: sync-lint  ## Check formatting (black, isort) and lint (ruff)
	@$(RUN) black --quiet --check . || { $(RUN) black --check .; echo "Run: make format"; exit 1; }
	@$(RUN) isort --check-only . || { echo "Run: make format"; exit 1; }
	@$(RUN) ruff check --quiet --output-format concise .
	@echo "lint: clean"

types: sync-lint  ## Check the types (mypy --strict)
	@$(RUN) mypy $(SOURCES)

imports: sync-lint  ## Check that arrows point down and that every import is declared
	@$(RUN) lint-imports
	@$(RUN) python .dev/declared.py $(PACKAGES)

# Low severity is ruff's: its S rules are the same checks, and its exceptions carry their reasons.
bandit: sync-lint
	@$(RUN) bandit --quiet --severity-level medium --configfile pyproject.toml --recursive $(SOURCES)
	@echo "bandit: clean"

security: bandit  ## Scan the code (bandit) and the locked dependencies (pip-audit)
	@$(SYNC) --group security
	@$(RUN) python .dev/audit.py $(ARGS)

##@ Tests
.PHONY: test test-each test-oldest test-newest e2e
test: sync-test  ## Run all tests; every package must be covered to 90 % or more
	@$(RUN) python .dev/coverage_floor.py start
	@COVERAGE_PROCESS_START="$(CURDIR)/pyproject.toml" COVERAGE_FILE="$(CURDIR)/.coverage-data/run" \
		$(CLEAN_ENV) $(RUN) $(PYTEST) $(TESTS) $(ARGS)
	@$(RUN) python .dev/coverage_floor.py report --floor $(FLOOR)

# help: test-<package> = Run one package's tests with that package alone installed (test-hfl-auth, …)
PACKAGE_TESTS := $(addprefix test-,$(PACKAGES))
.PHONY: $(PACKAGE_TESTS)
$(PACKAGE_TESTS): test-%:
	@UV_PROJECT_ENVIRONMENT=.venv-package $(UV) sync --quiet --locked --package $* --all-extras --group test
	@UV_PROJECT_ENVIRONMENT=.venv-package $(CLEAN_ENV) $(RUN) $(PYTEST) packages/$*/tests $(ARGS)

test-each: $(PACKAGE_TESTS)  ## Run every package's tests with that package alone installed

test-oldest:  ## Run all tests on Python 3.8 with the oldest dependencies that we allow
	@sh .dev/python $(OLDEST) >/dev/null || { echo "NOT TESTED on $(OLDEST): no interpreter on this machine"; exit 1; }
	@sh .dev/oldest $(OLDEST)
	@UV_PROJECT_ENVIRONMENT=.venv-oldest $(CLEAN_ENV) $(RUN) $(PYTEST) $(TESTS) $(ARGS)

test-newest:  ## Run all tests on the newest Python found, with the newest dependencies in the lock
	@python=$$(sh .dev/python newest) || { echo "NOT TESTED on the newest Python: no interpreter on this machine"; exit 1; }; \
	echo "Newest Python here: $$("$$python" --version)"; \
	export UV_PROJECT_ENVIRONMENT=.venv-newest; \
	$(UV) sync --quiet --locked --all-packages --all-extras --group test --python "$$python" && \
	$(CLEAN_ENV) $(RUN) $(PYTEST) $(TESTS) $(ARGS)

e2e: sync-test  ## Run the journeys through several packages, in real processes
	@$(CLEAN_ENV) $(RUN) $(PYTEST) tests-e2e $(ARGS)

##@ Show and measure
.PHONY: docs man examples bench
docs:  ## Build the documentation into site/; a warning is an error
	@sh .dev/need 3.11 "The documentation tools" && $(SYNC) --group docs
	@NO_MKDOCS_2_WARNING=1 PYTHONPATH=.dev $(RUN) mkdocs build --quiet --strict --clean --config-file .dev/mkdocs.yml
	@echo "docs: site/index.html"

man:  ## Write the man pages into man/
	@sh .dev/need 3.11 "The documentation tools" && $(SYNC) --group docs
	@$(RUN) python .dev/man.py man

examples: sync-test  ## Run every example, each in a process and a folder of its own
	@$(CLEAN_ENV) $(RUN) python .dev/run_scripts.py examples

bench: sync-test  ## Run the benchmarks and print what they measure
	@$(CLEAN_ENV) $(RUN) python .dev/run_scripts.py --show benchmarks

##@ All of it, and releases
.PHONY: check requirements requirements-check upgrade version-check wheels clean
check: lint types imports bandit requirements-check docs examples test  ## Everything that has to pass before a change lands
	@echo "check: everything passed"

requirements:  ## Write docs/install/requirements*.txt anew from the lock
	@sh .dev/requirements write

requirements-check:
	@sh .dev/requirements check

upgrade:  ## Move the lock to the newest dependencies
	@$(UV) lock --upgrade

version-check:
	@$(UV) run --no-project python .dev/version_check.py "$(TAG)"

wheels:  ## Build all wheels and sdists into dist/ and try each wheel alone
	@$(UV) run --no-project python .dev/wheels.py

clean:  ## Remove everything that was built or installed in this checkout
	@rm -rf .venv .venv-* .uv .cache .coverage .coverage.* .coverage-data dist site htmlcov \
		.pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	@find packages tests-e2e docs examples benchmarks .dev -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

.PHONY: sync-test sync-lint
sync-test:
	@$(SYNC) --group test

sync-lint:
	@sh .dev/need 3.11 "The lint tools" && $(SYNC) --group test --group lint
