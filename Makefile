# What a contributor runs; `make` alone lists it. Every path is relative, because the folder's name may hold a space.

PYTHON ?= python3
# Tests wait for processes, deadlines and servers: one more worker than there are processors.
TEST_WORKERS ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN) + 1)))
ARGS ?=
UPGRADE ?=

BIN := .venv/bin
UV := $(BIN)/uv
DOCS := .cache/docs/bin
BENCHMARK := .cache/benchmark
CODE := cmp_core backends examples image tests tools benchmarks
PROJECTS := pyproject.toml $(wildcard backends/*/pyproject.toml examples/backend-*/pyproject.toml)
OWN := cmp-core cmp-backend-s3 cmp-backend-tarball cmp-backend-multi cmp-backend-helm cmp-backend-fsspec cmp-backend-local

# uv shall trust the certificates that the machine trusts, since a proxy may stand in between, and take no Python but the machine's.
export UV_SYSTEM_CERTS ?= true
export UV_PYTHON_DOWNLOADS ?= never

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' Makefile

.PHONY: demo
demo: .venv/installed ## Fetch two manifests from an S3 server in the process, and print them
	@$(BIN)/python tools/demo.py

.PHONY: demo-tarball
demo-tarball: .venv/installed ## The same with an archive in S3, of which one folder is meant
	@$(BIN)/python tools/demo.py tarball

.PHONY: demo-helm
demo-helm: .venv/installed ## The same with a chart, which helm renders with values from three places
	@$(BIN)/python -m tools.binaries helm
	@PATH="$(CURDIR)/.tools:$$PATH" $(BIN)/python tools/demo.py helm

.PHONY: demo-multi
demo-multi: .venv/installed ## The same with two sources, each with a prefix of its own
	@$(BIN)/python tools/demo.py multi

.PHONY: demo-fsspec
demo-fsspec: .venv/installed ## The same with a web server, which the operator allows
	@$(BIN)/python tools/demo.py fsspec

.PHONY: demo-kustomize
demo-kustomize: .venv/installed ## The same with an overlay, which kustomize builds
	@$(BIN)/python -m tools.binaries kustomize
	@PATH="$(CURDIR)/.tools:$$PATH" $(BIN)/python tools/demo.py kustomize

.PHONY: demo-single-object
demo-single-object: .venv/installed ## The same with everything in one object
	@$(BIN)/python tools/demo.py single-object

.PHONY: demo-include-exclude
demo-include-exclude: .venv/installed ## The same with a prefix that other things lie below
	@$(BIN)/python tools/demo.py include-exclude

.PHONY: demo-environments
demo-environments: .venv/installed ## The same with the parameters of one environment of several
	@$(BIN)/python tools/demo.py environments

.PHONY: check
check: check-format lint types arrows docs dockerfile workflows test ## Everything that must hold before a change is done

.PHONY: test
test: .venv/installed ## Run the tests but for `make e2e`, `make e2e-argocd` and `make image`; ARGS="-k name" chooses some, ARGS="-n 0" runs them in one process
	@$(BIN)/pytest -q -n $(TEST_WORKERS) --dist worksteal -m "not e2e and not argocd and not image" $(ARGS) || { echo "make test failed: run one test alone with make test ARGS='-n 0 -k NAME'" >&2; exit 1; }

.PHONY: check-format
check-format: .venv/installed
	@$(BIN)/ruff format --check --quiet $(CODE) || { echo "Not formatted as agreed: run make format" >&2; exit 1; }

.PHONY: format
format: .venv/installed ## Format the code, and mend what the linter can mend
	@$(BIN)/ruff format $(CODE)
	@$(BIN)/ruff check --fix $(CODE)

.PHONY: lint
lint: .venv/installed ## Lint the code
	@$(BIN)/ruff check $(CODE) || { echo "The linter complains: make format mends some of it, the rest is yours" >&2; exit 1; }

.PHONY: types
types: .venv/installed .cache/pyright/installed ## Check the types, and those that a stranger's mypy and pyright see
	@$(BIN)/mypy $(CODE) || { echo "The types do not fit: mend them, then run make types" >&2; exit 1; }
	@$(BIN)/python -m tools.stranger_types || { echo "The public types have changed: see tests/typed, then run make types" >&2; exit 1; }

.PHONY: arrows
arrows: .venv/installed ## Check which module imports which
	@$(BIN)/lint-imports || { echo "A module imports what it must not: see docs/explanation, then run make arrows" >&2; exit 1; }

.PHONY: dockerfile
dockerfile: .venv/installed ## Lint the Dockerfile
	@$(BIN)/hadolint --config .hadolint.yaml Dockerfile || { echo "Mend the Dockerfile, then run make dockerfile" >&2; exit 1; }

.PHONY: workflows
workflows: .venv/installed ## Lint the shell scripts and the workflows of GitHub Actions
	@$(BIN)/python -m tools.lint_workflows || { echo "Mend what is named above, then run make workflows" >&2; exit 1; }

.PHONY: test-wheels
test-wheels: .venv/installed ## Build the wheels, try them outside the checkout, and follow the tutorials
	@$(BIN)/python -m tools.wheel_smoke
	@$(BIN)/python -m tools.tutorial

.PHONY: wheels
wheels: .venv/installed ## Build the wheels into dist/, for whoever writes a backend: export UV_FIND_LINKS="$PWD/dist"
	@rm -f dist/*.whl
	@for project in $(dir $(PROJECTS)); do \
		$(UV) build --quiet --wheel --no-build-isolation --python $(BIN)/python --out-dir dist "$$project" >&2 || exit; \
	done

.PHONY: tools
tools: .venv/installed ## Bring what the end-to-end tests need and PyPI does not have, with Go and npm; about ten minutes, once
	@$(BIN)/python -m tools.binaries
	@$(BIN)/python -m tools.emulators

.PHONY: e2e
e2e: test-s3 $(BENCHMARK)/installed .cache/release/installed ## Run the end-to-end tests: two S3 servers, the genuine argocd-cmp-server, faults, races
	@CI=true $(BIN)/pytest -q -n $(TEST_WORKERS) --dist worksteal -m e2e $(ARGS) || { echo "make e2e failed: make tools builds what it needs" >&2; exit 1; }

.PHONY: test-s3
test-s3: tools ## Run the tests that talk to S3 against LocalStack and versitygw, each started for them, side by side
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-s3-localstack test-s3-versitygw

.PHONY: test-s3-localstack test-s3-versitygw
test-s3-localstack test-s3-versitygw: test-s3-%: .venv/installed
	@$(BIN)/python -m tools.with_s3 $* $(BIN)/pytest -q -m s3 $(ARGS)

.PHONY: e2e-argocd
e2e-argocd: .venv/installed ## Run the tests on a whole Argo CD of plain processes: a few minutes
	@$(BIN)/python -m tools.live_argocd prepare
	@mkdir -p .cache/argocd
	@CI=true $(BIN)/pytest -q -s -n 0 -m argocd --basetemp=.cache/argocd/tests tests/argocd $(ARGS) || { \
		echo "make e2e-argocd failed: the logs of all servers lie below .cache/argocd/tests, each *.log" >&2; exit 1; }

.PHONY: argocd-page
argocd-page: .venv/installed ## Write what the last make e2e-argocd saw into docs/explanation/argo-cd-live.md
	@$(BIN)/python -m tools.live_argocd page

.PHONY: argocd-up
argocd-up: .venv/installed ## Start a whole Argo CD without containers in the background, and tell how to look at it
	@$(BIN)/python -m tools.live_argocd up

.PHONY: argocd-demo
argocd-demo: .venv/installed ## Show on it what changes and faults in S3 lead to
	@$(BIN)/python -m tools.live_argocd demo

.PHONY: argocd-down
argocd-down: .venv/installed ## End it
	@$(BIN)/python -m tools.live_argocd down

.PHONY: image
image: .venv/installed ## Build the image without Docker and a registry, look at it, and run the contract's tests inside; as root
	@$(BIN)/python -m tools.binaries argocd versitygw
	@$(BIN)/python -m tools.image $(ARGS) || { echo "make image failed: $(BIN)/python -m tools.image --help lists its steps" >&2; exit 1; }

.PHONY: benchmark
benchmark: .venv/installed $(BENCHMARK)/installed ## Measure, and write the figures to docs/explanation/performance.md
	@$(BIN)/python -m benchmarks --aws $(BENCHMARK)/bin/aws $(ARGS)

.PHONY: soak
soak: tools $(BENCHMARK)/installed ## Ask the genuine argocd-cmp-server for 15 minutes with faults on, and fill docs/explanation/soak.md
	@PYTHONPATH=tests $(BIN)/python -m e2e.soak --matplotlib $(BENCHMARK)/bin/python $(ARGS) || { \
		echo "make soak failed: the answers that were wrong lie in .cache/soak/wrong, all others in requests.csv beside it" >&2; exit 1; }

.PHONY: docs
docs: .venv/installed .cache/docs/installed ## Check that the generated pages are fresh, and build the documentation into site/
	@$(BIN)/python tools/generate_docs.py --check || { echo "A generated page is stale: run make docs-generate" >&2; exit 1; }
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs build --strict || { echo "Mend the page that is named above, then run make docs" >&2; exit 1; }

.PHONY: docs-generate
docs-generate: .venv/installed ## Write the pages that come from the code
	@$(BIN)/python tools/generate_docs.py

.PHONY: docs-pictures
docs-pictures: .venv/installed ## Draw the pictures of the documentation's first page, and record the terminal
	@$(BIN)/python -m tools.docs_pictures

.PHONY: docs-browser
docs-browser: docs .cache/browser/installed ## Look at the built documentation in Chromium: pictures go to .cache/docs-pages
	@$(BIN)/python -m tools.debian chromium fonts-dejavu-core
	@.cache/browser/bin/python tools/docs_browser.py

.PHONY: helm-values
helm-values: .venv/installed ## Write deploy/helm/values.yaml from the components of deploy/
	@$(BIN)/python -m tools.helm_values

.PHONY: e2e-latest-argocd
e2e-latest-argocd: tools ## Test the manifests in deploy/ on what the latest version of Argo CD publishes
	@CI=true ARGO_CD_LATEST=1 $(BIN)/pytest -q -n 0 -m e2e tests/e2e/test_deploy.py $(ARGS) || { \
		echo "make e2e-latest-argocd failed: Argo CD has changed what deploy/ builds upon" >&2; exit 1; }

.PHONY: kind-up
kind-up: .venv/installed ## Bring up Argo CD, the sidecar and LocalStack on KIND, with Docker; ARGO_CD_VERSION=3.1.16 for another version
	@PATH="$(CURDIR)/.tools:$$PATH" deploy/kind/up.sh

.PHONY: kind-demo
kind-demo: .venv/installed ## Show on it how a change arrives, and that an empty prefix and a broken S3 delete nothing
	@PATH="$(CURDIR)/.tools:$$PATH" deploy/kind/demo.sh

.PHONY: kind-down
kind-down: .venv/installed ## Remove it
	@PATH="$(CURDIR)/.tools:$$PATH" deploy/kind/down.sh

.PHONY: docs-serve
docs-serve: .cache/docs/installed ## Show the documentation in a browser while you write it
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/mkdocs serve

.PHONY: release-files
release-files: .venv/installed .cache/release/installed ## Make what a release publishes, but for the image, in dist/: wheels, bill of materials, sums
	@rm -rf dist
	@$(BIN)/python -m tools.release files dist

.PHONY: changelog
changelog: .venv/installed ## Show what the fragments in changes/ will say in CHANGELOG.md
	@$(BIN)/towncrier build --draft --version next

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make requirements" $(addprefix --no-emit-package ,$(OWN)) $(if $(UPGRADE),--upgrade)

.PHONY: requirements
requirements: .venv/uv ## Write requirements/*.txt from the declared dependencies; UPGRADE=1 takes the newest versions
	@$(COMPILE) requirements/uv.in -o requirements/uv.txt
	@$(COMPILE) requirements/build.in -o requirements/build.txt
	@$(COMPILE) $(wildcard pyproject.toml backends/*/pyproject.toml) -o requirements/runtime.txt
	@$(COMPILE) $(PROJECTS) --group dev requirements/build.in requirements/uv.in \
		-c requirements/uv.txt -c requirements/build.txt -c requirements/runtime.txt -o requirements/development.txt
	@$(COMPILE) --group docs -o requirements/docs.txt
	@$(COMPILE) requirements/pyright.in -o requirements/pyright.txt
	@$(COMPILE) requirements/localstack.in -o requirements/localstack.txt
	@$(COMPILE) requirements/benchmark.in -o requirements/benchmark.txt
	@$(COMPILE) requirements/browser.in -o requirements/browser.txt
	@$(COMPILE) requirements/release.in -o requirements/release.txt

.PHONY: clean
clean: ## Remove everything that these targets made here
	@rm -rf .venv .cache .tools site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Console scripts and editable installs hold the folder's path: where the folder has moved, .venv is made anew.
ifneq ($(shell cat .venv/place 2>/dev/null || pwd -P),$(shell pwd -P))
$(shell rm -rf .venv .cache/docs .cache/benchmark .cache/release)
endif

.venv/uv: requirements/uv.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "cmp-core needs Python 3.11 or later, but $(PYTHON) says: $$("$(PYTHON)" --version 2>&1)." \
			"Name a newer one: make PYTHON=python3.13 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
		echo "Making .venv with $$("$(PYTHON)" --version)" >&2; \
		"$(PYTHON)" -m venv --clear .venv >&2 || { \
			echo "$(PYTHON) cannot make an environment: install its venv module (Debian and Ubuntu: python3-venv)" >&2; exit 1; }; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt >&2
	@pwd -P >.venv/place
	@touch $@

.venv/installed: .venv/uv requirements/build.txt requirements/development.txt requirements/workspace.txt $(PROJECTS)
	@echo "Installing requirements/development.txt and the workspace into .venv" >&2
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/build.txt >&2
	@$(UV) pip sync --quiet --python $(BIN)/python --no-build-isolation requirements/development.txt requirements/workspace.txt >&2
	@touch $@

.cache/%/installed: requirements/%.txt .venv/uv
	@echo "Installing $< into .cache/$*" >&2
	@$(UV) venv --quiet --clear --python $(BIN)/python .cache/$* >&2
	@$(UV) pip sync --quiet --python .cache/$*/bin/python --require-hashes $< >&2
	@touch $@
