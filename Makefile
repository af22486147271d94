# make run    the gateway on its embedded backend, ready for a client
# make test   every test, live ones included
# make bench  what the gateway costs, beside its goals: benchmarks/README.md has the parameters
# make lint   ruff, mypy and the import contracts
# make clean  everything that the others have made
#
# Each does its own set-up. Needed are Python 3.11 or later, make, and a network to the package
# registries the first time; for the tests of web clients also Node.js 20.10 or later.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

WEB := tests/live/web

.PHONY: run test bench lint clean etcd haproxy chromium curl

run: $(STAMP) etc/server_pkcs1.key
	exec $(BIN)/twistd -n --pidfile= gnetway -c etc/gnetway.yaml

test: $(STAMP) etcd haproxy chromium curl $(WEB)/node_modules/.package-lock.json
	$(BIN)/pytest

# ROWS="echo bulk" for some rows of the table only; also RUNS, SECONDS, CARRIER, WORKERS,
# CORE=compiled, and CHECKOUT for the folder of another gateway.
bench: $(STAMP) etcd
	@command -v go >/dev/null || { echo "make bench builds ../shared/loadgen with Go"; exit 1; }
	@$(BIN)/python -m benchmarks $(ROWS) $(if $(RUNS),--runs=$(RUNS)) \
	  $(if $(SECONDS),--seconds=$(SECONDS)) $(if $(CARRIER),--carrier=$(CARRIER)) \
	  $(if $(WORKERS),--workers=$(WORKERS)) $(if $(CORE),--core=$(CORE)) \
	  $(if $(CHECKOUT),--checkout=$(CHECKOUT))

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The lock file has hashes, so nothing but what was locked can be installed. The .pth file puts the
# checkout on the path, where twistd finds its plugin.
$(STAMP): requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | \
	  { read -r site; pwd > "$$site/gnetway-checkout.pth"; }
	touch $@

etc/server_pkcs1.key: | $(STAMP)
	$(BIN)/python -m gnetway make-key $@

# $(call debian,PROGRAM,PACKAGES): the live tests need the program; where it is missing and we may,
# Debian's packages are installed.
debian = command -v $(1) >/dev/null || \
  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
    { apt-get install -y -q $(2) || { apt-get update -q && apt-get install -y -q $(2); }; } \
    >/dev/null; } || \
  echo "no $(1) here: the tests that need it will be skipped"

etcd:
	@$(call debian,etcd,etcd-server etcd-client)

haproxy:
	@$(call debian,haproxy,haproxy)

chromium:
	@$(call debian,chromium,chromium)

curl:
	@$(call debian,curl,curl)

# The packages of the web clients, as their lock file has them.
$(WEB)/node_modules/.package-lock.json: $(WEB)/package-lock.json
	@{ command -v npm >/dev/null && npm ci --prefix $(WEB) --loglevel=error && touch $@; } || \
	  echo "no packages from npm: the tests of web clients will be skipped"

clean:
	rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache _trial_temp* .coverage $(WEB)/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
