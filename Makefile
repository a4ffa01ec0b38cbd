# The two commands: make demo, make test. Both install what they need first.
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
# One BLAS and OpenMP thread pool as large as the machine; quiet third-party start-up.
export AIRFLOW__CORE__LOAD_EXAMPLES := False
# Two test processes, a file to each in the order of tests/conftest.py; half of a test's time is waiting.
# A test process that is killed ends the run, which would wait for it without an end.
SIDE_BY_SIDE := -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart=0 --instafail -q

.PHONY: install demo test soak check lint lock env dags hooks release chromium programs peers clean

install: $(VENV)/.installed ## the environment alone

$(VENV)/.installed: requirements.lock pyproject.toml
	@$(PY) -c 'import sys; sys.exit(not (3,11) <= sys.version_info[:2] < (3,14))' || \
	  { echo "covla needs Python 3.11 to 3.13: make PY=python3.12 ..." >&2; exit 1; }
	test -x $(BIN)/python || $(PY) -m venv $(VENV)
	$(BIN)/python -m pip install -q uv
	$(BIN)/uv pip sync -q --compile-bytecode --require-hashes --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install -q --no-deps --no-build-isolation --python $(BIN)/python -e .
	@touch $@

lock: ## compile requirements.lock again: every supported Python, hashes, no index addresses
	$(BIN)/uv pip compile -q pyproject.toml --all-extras --group dev --universal --generate-hashes \
	  --no-annotate --no-header --no-emit-index-url -o requirements.lock

demo: install ## the whole loop on real parts; POSTS=folder for your own posts
	$(BIN)/covla demo $(if $(POSTS),--posts $(POSTS))

peers: ## other servers, for `python -m bench.goodput`
	test -x bench/peers/.venv/bin/python || $(BIN)/uv venv -q --python $(BIN)/python bench/peers/.venv
	$(BIN)/uv pip install -q --python bench/peers/.venv/bin/python -r requirements.lock -r bench/peers/requirements.txt

lint: install
	$(BIN)/ruff format --check . && $(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

env: ## secrets for docker-compose.yml, in .env; what is there stays
	@sh deploy/make-env.sh

check: lint ## the fast part
	$(BIN)/pytest -m "not slow" $(SIDE_BY_SIDE)

test: lint chromium programs ## everything
	$(BIN)/pytest -m "not soak" --durations=25 --durations-min=10 $(SIDE_BY_SIDE)

soak: lint programs ## what takes long, one after the other
	$(BIN)/pytest -m soak -s

# For docker-compose.yml without a container engine; without them those tests are skipped.
# RUNLEVEL=1: the packages' own services are not started.
programs:
	@for name in bwrap ip unshare dnsmasq prometheus promtool prometheus-alertmanager amtool; do \
	  command -v $$name >/dev/null || missing="$$missing $$name"; done; \
	test -z "$$missing" && exit 0; echo "Missing for the rehearsal of docker-compose.yml:$$missing"; \
	[ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && apt-get update -qq \
	  && RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends bubblewrap \
	    iproute2 util-linux dnsmasq-base prometheus prometheus-alertmanager >/dev/null \
	  || echo "they cannot be installed here: its tests will be skipped" >&2

chromium: install
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && exit 0; done; \
	echo "Chromium is missing: fetching it for the tests of the pages"; \
	{ [ "$$(id -u)" = 0 ] && apt-get update -qq && apt-get install -y -qq chromium >/dev/null; } || \
	  $(BIN)/playwright install chromium || \
	  echo "no Chromium can be had here: the tests of the pages will be skipped" >&2

dags: install ## docs/dags.md and tests/dags/snapshot.json anew, from the DAGs
	$(BIN)/python -m tests.dags.pages

hooks: install ## what `make lint` runs, before each commit
	$(BIN)/pre-commit install

release: install ## check the version, build, tag
	@sh deploy/release.sh

clean: ## the environment; state stays
	rm -rf $(VENV)
