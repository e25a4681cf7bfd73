# Everything is installed into this folder: .venv, .venv-agent, .venv-sam, node_modules.
PYTHON ?= python3
VENV := .venv/bin
SCENARIO ?= crash_loop
STAMPS := .venv/.stamp .venv-agent/.stamp node_modules/.stamp

.DEFAULT_GOAL := help
.PHONY: help setup agent-venv demo serve test test-fast faults check format build bench openapi docs locks clean tools agent-image

help: ## show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: tools $(STAMPS) ## install what Rune needs into this folder

tools:
	@$(PYTHON) scripts/check_tools.py

.venv/.stamp: requirements/dev.txt pyproject.toml layers/rune_common/pyproject.toml
	@$(PYTHON) scripts/check_tools.py
	$(PYTHON) -m venv .venv
	$(VENV)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/dev.txt
	$(VENV)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e layers/rune_common -e .
	@touch $@

.venv-agent/.stamp: containers/agent/requirements.txt containers/agent/pyproject.toml
	@$(PYTHON) scripts/check_tools.py
	@echo "installing the agent's environment (about 800 MB, a few minutes)"
	$(PYTHON) -m venv .venv-agent
	.venv-agent/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r containers/agent/requirements.txt
	@printf '%s\n' "$(CURDIR)/layers/rune_common/src" "$(CURDIR)/containers/agent" > "$$(.venv-agent/bin/python -c 'import site; print(site.getsitepackages()[0])')/rune.pth"
	@touch $@

.venv-sam/.stamp: requirements/sam.txt
	$(PYTHON) -m venv .venv-sam
	.venv-sam/bin/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/sam.txt
	@touch $@

node_modules/.stamp: package.json package-lock.json
	npm ci --silent
	@touch $@

agent-venv: .venv-agent/.stamp ## install the agent's own environment

demo: setup ## ask the real agent about a simulated cluster
	@$(VENV)/python -m rune.demo --scenario $(SCENARIO)

serve: setup .rune/api_token ## the whole stack on this machine, http://127.0.0.1:8080
	@RUNE_API_TOKENS="$${RUNE_API_TOKENS:-default:$$(cat .rune/api_token)}" $(VENV)/python -m rune serve

.rune/api_token:
	@mkdir -p -m 700 .rune
	@umask 077 && $(PYTHON) -c "import secrets; print(secrets.token_urlsafe(32))" > $@
	@echo "made a token for this server: export RUNE_API_TOKEN=\$$(cat $@)"

test: setup .venv-sam/.stamp ## all tests
	$(VENV)/python -m pytest

test-fast: .venv/.stamp ## unit and contract tests
	$(VENV)/python -m pytest tests/unit tests/contract

faults: setup ## every phase of a benchmark under every fault
	$(VENV)/python -m tests.e2e.faults

check: .venv/.stamp .venv-sam/.stamp node_modules/.stamp ## format, lint, types, rooms, drift, template
	$(VENV)/ruff format --check .
	$(VENV)/ruff check .
	$(VENV)/mypy
	$(VENV)/lint-imports
	$(VENV)/python -m rune.api.document --check
	$(VENV)/python -m rune.local.documents --check
	$(VENV)/python -m rune.cli.reference --check
	$(VENV)/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam validate --lint
	for machine in statemachines/*.asl.json; do node_modules/.bin/asl-validator --json-path $$machine || exit 1; done

format: .venv/.stamp ## format and fix what can be fixed
	$(VENV)/ruff format .
	$(VENV)/ruff check --fix .

build: .venv-sam/.stamp ## the deployment artefacts, under .aws-sam/build
	SAM_CLI_TELEMETRY=0 .venv-sam/bin/sam build

bench: setup ## run the benchmarks and write docs/reference/performance.md
	$(VENV)/python -m benchmarks

openapi: .venv/.stamp ## write docs/openapi.json
	$(VENV)/python -m rune.api.document

docs: openapi ## write the generated reference pages
	$(VENV)/python -m rune.local.documents
	$(VENV)/python -m rune.cli.reference

agent-image: ## build the agent's container image (needs Docker)
	docker build -f containers/agent/Dockerfile -t rune-agent .

locks: ## compile the locks again (needs uv)
	for name in app dev sam; do uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras requirements/$$name.in -o requirements/$$name.txt; done
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-strip-extras containers/agent/requirements.in -o containers/agent/requirements.txt

clean: ## remove everything that was built or installed here
	rm -rf .venv .venv-agent .venv-sam node_modules .aws-sam .rune dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
