# make run    the gateway on its embedded backend, ready for a client
# make test   every test, live ones included
# make lint   ruff, mypy and the import contracts
# make clean  everything that the others have made
#
# Each does its own set-up. Needed are Python 3.11 or later, make, and a network to the package
# registry the first time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: run test lint clean etcd

run: $(STAMP) etc/server_pkcs1.key
	exec $(BIN)/twistd -n --pidfile= gnetway -c etc/gnetway.yaml

test: $(STAMP) etcd
	$(BIN)/pytest

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

# The live tests start an etcd of their own; where there is none and we may, Debian's is installed.
etcd:
	@command -v etcd >/dev/null || \
	  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
	    { apt-get install -y -q etcd-server etcd-client || \
	      { apt-get update -q && apt-get install -y -q etcd-server etcd-client; }; } \
	    >/dev/null; } || \
	  echo "no etcd here: the tests that need one will be skipped"

clean:
	rm -rf $(VENV) build dist ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	rm -rf .import_linter_cache _trial_temp* .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
