# `make help` says what there is. Needs Python 3.11, pip, make and git; everything else is set up in .venv.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The first that was built optimised, or the first: built without, as pyenv does unless told, everything takes an eighth longer.
# Distributions optimise theirs and do not all say so.
FIT := import importlib.util, sys, sysconfig; \
	optimised = sys.base_prefix == "/usr" or "--enable-optimizations" in (sysconfig.get_config_var("CONFIG_ARGS") or ""); \
	installs = any(map(importlib.util.find_spec, ("ensurepip", "pip"))); \
	sys.exit(sys.version_info[:2] != (3, 11) or (sys.argv[1] == "optimised" and not (optimised and installs)))
PYTHON ?= $(shell for asked in optimised any; do for p in python3.11 python3 python /usr/bin/python3.11; do \
	"$$p" -c '$(FIT)' $$asked >/dev/null 2>&1 && { command -v "$$p"; exit; }; done; done)
VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.ready
ROOMS := kernel crypto custody audit markings members agreements reports release
MUTATED := kernel markings release members agreements reports audit crypto custody
# `make test ROOM=markings` runs one room alone; `make test ARGS="-k expired"` hands words to pytest.
ROOM ?=
ARGS ?=
# Two more than cores, for tests wait too: on databases, on processes that start. Four at most: each has servers of its own.
JOBS ?= $(shell n=$$(nproc 2>/dev/null || echo 2); [ $$n -gt 2 ] && n=2; echo $$((n + 2)))
MINUTES ?= 20
WORKERS ?= 2
WALKS ?= 2-41
STEPS ?= 100

.PHONY: help setup demo test coverage check fmt format lint types imports deps docs-check docs bench bench-quick bench-full soak walks mutate lock secrets image up roll edge down test-compose sbom test-alerts clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(STAMP) ## make .venv from the hashed locks and install the checkout in it

# uv when it is there (seconds), pip otherwise, both from the same hashed file. A Python without ensurepip (Debian without
# python3-venv) still works: its own pip installs into the environment from outside.
$(STAMP): requirements-dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "no Python 3.11 found: install python3.11, or name one with \`make PYTHON=/path/to/python3.11 $(or $(MAKECMDGOALS),setup)\`" >&2; exit 1; }
	@rm -f $(STAMP)
	@if command -v uv >/dev/null 2>&1; then \
		{ test -x $(PY) || uv venv -q --python "$(PYTHON)" $(VENV); } && \
		uv pip sync -q --require-hashes --python $(PY) requirements-dev.txt && \
		uv pip install -q --no-deps --no-build-isolation --python $(PY) -e .; \
	else \
		{ test -x $(PY) || "$(PYTHON)" -m venv $(VENV) 2>/dev/null || { rm -rf $(VENV) && "$(PYTHON)" -m venv --without-pip $(VENV); }; } && \
		if $(PY) -m pip --version >/dev/null 2>&1; then set -- $(PY) -m pip; else set -- "$(PYTHON)" -m pip --python $(PY); fi && \
		"$$@" install -q --disable-pip-version-check --no-input --require-hashes -r requirements-dev.txt && \
		"$$@" install -q --disable-pip-version-check --no-input --no-deps --no-build-isolation -e .; \
	fi
	@touch $(STAMP)

demo: setup ## the main job on the embedded default, in under a minute
	@$(VENV)/bin/exchange demo $(ARGS)

# On two cores the whole product takes twelve minutes: here the cases of a test try the databases in turn.
test: setup ## every test on both databases, its cases in turn; ROOM=name for one room of the core
	$(PY) -m pytest $(if $(ROOM),tests/core/$(ROOM) -q,-n $(JOBS) --dist worksteal --in-turn) $(ARGS)

test-all: setup ## every case of every test on both databases
	$(PY) -m pytest -n $(JOBS) --dist worksteal $(ARGS)

test-%: setup ## one room of the core, with its branch coverage
	$(PY) -m pytest tests/core/$* -q --cov=exchange.$* --cov-branch --cov-report=term-missing $(ARGS)

coverage: setup ## every branch of the rooms below the store, or fail
	$(PY) -m pytest tests/core tests/model -n $(JOBS) -q $(foreach room,$(ROOMS),--cov=exchange.$(room)) --cov-branch --cov-fail-under=100 --cov-report=term:skip-covered

check: format lint types imports deps docs-check test-all ## all that must hold before a change goes in

format: setup
	$(VENV)/bin/ruff format --check .

lint: setup
	$(VENV)/bin/ruff check .

types: setup
	$(VENV)/bin/mypy

imports: setup
	$(VENV)/bin/lint-imports

deps: setup
	$(VENV)/bin/deptry .

docs-check: setup
	$(PY) -m tests.support.generated_docs --check

docs: setup ## write the generated pages anew
	$(PY) -m tests.support.generated_docs --write

fmt: setup ## format, and mend what the linter can mend
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

bench: setup ## every figure beside its floor (about 18 minutes)
	$(PY) -m benchmarks $(ARGS)

bench-quick: setup ## the main ones with a tenth of the reports (about 3 minutes)
	$(PY) -m benchmarks --quick $(ARGS)

bench-full: setup ## a search of ten million log entries on PostgreSQL (about an hour, 25 GB in the temporary folder)
	$(PY) -m benchmarks --only audit_search_ms --backend postgresql --entries 10000000 $(ARGS)

soak: setup ## mixed load, and whether memory, connections or latency grow (MINUTES=20, WORKERS=2)
	$(PY) -m benchmarks.soak --minutes $(MINUTES) --workers $(WORKERS) $(ARGS)

walks: setup ## longer walks through a world than the tests', what readers get held against plain words (WALKS=2-41, STEPS=100)
	WALKS=$(WALKS) WALK_STEPS=$(STEPS) $(PY) -m pytest -q -n $(JOBS) tests/usecases/test_walked_world.py tests/usecases/test_further_walks.py tests/usecases/test_tampered_walks.py tests/usecases/test_bursts.py

mutate: setup ## mutation score of the core rooms; ROOM=name for one
	@for room in $(or $(ROOM),$(MUTATED)); do \
		echo "== $$room"; $(VENV)/bin/mutmut run --max-children $(JOBS) "exchange.$$room.*" || exit 1; done
	@$(VENV)/bin/mutmut results
	@$(VENV)/bin/mutmut results --all true | awk -F '[.: ]+' '$$2 == "exchange" && !/not checked/ \
		{ all[$$3]++; if (!/survived|no tests/) killed[$$3]++ } \
		END { for (room in all) printf "%-12s %d of %d mutants killed: %.1f %%\n", room, killed[room], all[room], 100 * killed[room] / all[room] }'

sbom: setup ## what the service is made of, CycloneDX 1.6, in sbom.cdx.json
	@$(PY) -m tests.support.sbom > sbom.cdx.json
	@echo "sbom.cdx.json"

# The only target that asks a resolver; the files it writes name no index. Extras stay: pip refuses an extra that no line pins.
LOCK := uv pip compile -q --no-strip-extras --universal --generate-hashes --python-version 3.11 --no-header --no-emit-index-url --no-annotate
lock: ## resolve the locks anew (needs uv)
	$(LOCK) pyproject.toml -o requirements.txt
	$(LOCK) pyproject.toml --extra traces --group dev -c requirements.txt -o requirements-dev.txt
	$(LOCK) pyproject.toml --extra traces -c requirements-dev.txt -o requirements-traces.txt
	$(LOCK) --group pyproject.toml:client -c requirements-dev.txt -o requirements-client.txt
	$(LOCK) --group pyproject.toml:build -c requirements-dev.txt -o requirements-build.txt

# The service runs as the owner of its secrets, and never as root: whoever ran `make` first, whoever runs it now.
CONTAINER_UID := $(or $(shell sed -n 's/^EXCHANGE_UID="\([0-9]*\)"$$/\1/p' .env 2>/dev/null),$(shell id -u | sed 's/^0$$/10001/'))
# In `.env` every later `docker compose` finds them too: with another user, port or image it would replace what runs.
KEPT := EXCHANGE_UID EXCHANGE_HOST_NAMES EXCHANGE_PORT EXCHANGE_IMAGE EXCHANGE_LOCK EXCHANGE_TRACES_ENDPOINT \
	POSTGRES_IMAGE NGINX_IMAGE PROMETHEUS_IMAGE PYTHON_IMAGE
secrets: ## make the secrets of the composed service that do not exist yet, and keep its settings
	@umask 077; mkdir -p secrets; for name in database service sequencer; do file=secrets/$${name}_password; \
	test -s $$file || head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \n' > $$file; \
	if test "$$(id -u)" = 0; then chown $(CONTAINER_UID) $$file; fi; done
	@touch .env; EXCHANGE_UID=$(CONTAINER_UID); for name in $(KEPT); do eval "value=\$${$$name-}"; \
	if test -n "$$value"; then { grep -v "^$$name=" .env; echo "$$name=\"$$value\""; } > .env.new && mv .env.new .env; fi; done

# The image's labels.
export EXCHANGE_VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' exchange/__init__.py)
export EXCHANGE_REVISION := $(shell git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
image: ## build the image of the service
	EXCHANGE_UID=$(CONTAINER_UID) docker compose build

up: secrets image ## the service in containers: edge, two nodes, jobs, PostgreSQL
	EXCHANGE_UID=$(CONTAINER_UID) docker compose up --detach --wait
	@echo "ready: https://localhost:$${EXCHANGE_PORT:-8443}, for clients with a certificate"
	@echo "next:  docker compose exec jobs exchange member add GBR --name \"United Kingdom\""
	@echo "       docker compose exec jobs exchange client enrol --help   (who may connect, as whom, cleared for what)"
	@echo "       docs/operations.md   (certificates, secrets, backups), docs/trouble.md   (what to do in which case)"

roll: secrets image ## a new version in, while the old one serves: the schema first, then one node after the other
	EXCHANGE_UID=$(CONTAINER_UID) docker compose run --rm -T --no-deps migration
	EXCHANGE_UID=$(CONTAINER_UID) docker compose up --detach --wait --no-deps exchange-1
	@sleep 6 # the edge asks a node that it has missed no sooner than five seconds later: until then it has the other one alone
	EXCHANGE_UID=$(CONTAINER_UID) docker compose up --detach --wait --no-deps exchange-2
	EXCHANGE_UID=$(CONTAINER_UID) docker compose up --detach --wait --no-deps jobs
	$(MAKE) --no-print-directory edge

edge: ## give the edge what changed of certificates, authorities and revocation lists, without a gap
	EXCHANGE_UID=$(CONTAINER_UID) docker compose run --rm -T --no-deps certificates
	@sleep 10 # the nodes take up whom they are to believe first: an edge that was renewed is nobody until then
	docker compose kill --signal HUP edge

down: ## stop the containers; their volumes stay
	docker compose down

# An engine on the path, or the script that COMPOSE_CHECK names: it builds the project, starts it and runs CC_EXEC while it is up.
COMPOSE_TEST := exchange-test
test-compose: setup secrets ## the composed service with a real engine: a journey under load, with parts killed and replaced
	@if docker info >/dev/null 2>&1; then \
		export EXCHANGE_UID=$(CONTAINER_UID); \
		docker compose -p $(COMPOSE_TEST) build -q && docker compose -p $(COMPOSE_TEST) up --detach --wait && $(PY) -m tests.compose.journey $(COMPOSE_TEST); \
		code=$$?; docker compose -p $(COMPOSE_TEST) logs --no-color > compose-test.log 2>&1; \
		docker compose -p $(COMPOSE_TEST) down --volumes --timeout 10 >/dev/null 2>&1; exit $$code; \
	elif test -n "$$COMPOSE_CHECK"; then \
		EXCHANGE_UID=$(CONTAINER_UID) CC_PROJECT=$(COMPOSE_TEST) CC_EXEC="$(PY) -m tests.compose.journey $(COMPOSE_TEST)" bash "$$COMPOSE_CHECK" . file:///dev/null; \
	else \
		echo "neither a Docker engine answers here nor does COMPOSE_CHECK name a script that starts one: nothing was tested" >&2; exit 3; \
	fi

test-alerts: ## the alert rules, each seen to speak and to be silent (needs promtool, of Debian's package `prometheus`)
	@command -v promtool >/dev/null 2>&1 || { echo "promtool is not on the path: nothing was tested" >&2; exit 3; }
	promtool check config deploy/prometheus.yml
	cd deploy && promtool test rules alerts.test.yml

clean: ## remove what the tools made; instances and secrets stay
	rm -rf $(VENV) build dist mutants htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
