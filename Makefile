# make run    the gateway on its embedded backend, ready for a client
# make test   every test, live ones included
# make unit   those without live processes, in two minutes; make coverage: and the lines they miss
# make bench  what the gateway costs, beside its goals: benchmarks/README.md has the parameters
# make lint   ruff, mypy and the import contracts
# make docs   the site of the documents into build/site, its links and anchors checked
# make config   etc/*.yaml and docs/configuration.md from what the configuration's readers say
# make changelog   what changes/ will add to CHANGES.md at the next release
# make clean  remove everything that the others have made, the key and the store of make run included
#
# make run takes the compiled core where make compiled, or make test, has made it, and compiles
# nothing by itself: a first answer is not to wait for that. GNETWAY_COMPILED=1 make run compiles first,
# where a C compiler and Python's headers are; GNETWAY_COMPILED=0 make run goes without.
#
# Each does its own set-up. Needed are Python 3.11 or later, make, and a network to the package
# registries the first time. Some tests need more: etcd, haproxy, nginx, Caddy, curl and Chromium,
# which Debian's packages bring where that is allowed, Go as new as loadgen/go.mod says, Node.js
# 20.10 or later. What is missing is named with the tests that are skipped for it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

WEB := tests/live/web

# What the compiler reads, as setup.cfg lists it, and what it makes.
CORE_SOURCES := $(wildcard \
  $(shell sed -n '/^.gnetway:compiled/,/^$$/s/^  *//p' setup.cfg))
CORE_STAMP := build/core/.made
COMPILED := build/compiled

# What runs on the compiled core: its own tests, those of what rests on it, and clients.
COMPILED_TESTS := $(addprefix tests/,tl crypto codec mtproto handshake connection http2 net rpc \
  backends dispatch push runtime \
  live/test_telethon.py live/test_hostile.py live/test_twistd.py \
  live/test_loadgen.py live/test_rpc_cross.py live/test_rpc_interop.py \
  live/test_rpc_interop_http2.py live/test_rpc_interop_metadata.py \
  $(addprefix live/apps/,test_android.py test_ios.py test_binds.py test_forged_binds.py))

# Three processes, though there may be two processors: live tests wait as much as they compute.
# Each file stays in one of them. TEST_PROCESSES=0 runs all in one process, as pytest alone does.
TEST_PROCESSES ?= 3
PYTEST := $(BIN)/pytest -n $(TEST_PROCESSES) --dist loadfile --no-loadscope-reorder

.PHONY: run test unit coverage bench lint docs config changelog clean compiled compiler etcd \
  haproxy nginx caddy logrotate go chromium curl

ifeq ($(if $(filter 0,$(GNETWAY_COMPILED)),,$(GNETWAY_COMPILED)$(wildcard $(CORE_STAMP))),)
run: $(STAMP) etc/server_pkcs1.key
	@echo "on pure Python; after make compiled, which takes some minutes, make run is faster"
	exec $(BIN)/twistd -n --pidfile= gnetway -c etc/gnetway.yaml
else
run: compiled etc/server_pkcs1.key
	PYTHONPATH=$(COMPILED) exec $(BIN)/twistd -n --pidfile= gnetway -c etc/gnetway.yaml
endif

# By this name: a line that has make's own in it would be run by make --dry-run, and with it the
# tests.
BACKGROUND := $(MAKE) --no-print-directory

# Some hundred gateways are started: without bytecode each would compile its sources again.
test: export PYTHONDONTWRITEBYTECODE =

# The core is compiled beside the tests of pure Python, while those wait. Where that fails, it is
# tried again behind them, for all to see.
test: $(STAMP) etcd haproxy nginx caddy logrotate go chromium curl compiler \
  $(WEB)/node_modules/.package-lock.json
	@setsid nice $(BACKGROUND) $(CORE_STAMP) >/dev/null 2>&1 & compiling=$$!; \
	trap "kill -- -$$compiling 2>/dev/null" EXIT; trap 'exit 130' INT TERM; \
	echo "$(PYTEST)"; \
	$(PYTEST) || exit; wait $$compiling; trap - EXIT
	$(MAKE) --no-print-directory compiled
	@if [ -e $(CORE_STAMP) ]; then \
	  set -x; exec $(PYTEST) --core=compiled $(COMPILED_TESTS); \
	else \
	  echo "the core is not compiled here: its tests have run on pure Python alone"; \
	  test -z "$$CI"; \
	fi

unit: $(STAMP)
	$(PYTEST) --ignore=tests/live

# The least that the tests without live processes reach, in percent of lines and branches.
COVERED := 90

coverage: $(STAMP)
	$(BIN)/coverage run -m pytest --ignore=tests/live
	$(BIN)/coverage report --skip-covered --fail-under=$(COVERED)

# It needs no network, and build/site/index.html opens from the disk. With --quiet warnings would pass.
# The variable spares us a note of the theme's makers at each build: they mend it until May 2027, and
# their successor of MkDocs, Zensical, reads the same mkdocs.yml.
docs: export NO_MKDOCS_2_WARNING = 1
docs: $(STAMP)
	$(BIN)/mkdocs build --strict

config: $(STAMP)
	$(BIN)/python etc/generate.py

changelog: $(STAMP)
	@$(BIN)/towncrier build --draft --version 'after the last release'

# ROWS="echo bulk" for some rows of the table only; also RUNS, SECONDS, CARRIER, WORKERS,
# CORE=compiled, and CHECKOUT for the folder of another gateway.
bench: $(STAMP) etcd $(if $(filter compiled,$(CORE)),compiled)
	@command -v go >/dev/null || { echo "make bench builds loadgen with Go"; exit 1; }
	@$(BIN)/python -m benchmarks $(ROWS) $(if $(RUNS),--runs=$(RUNS)) \
	  $(if $(SECONDS),--seconds=$(SECONDS)) $(if $(CARRIER),--carrier=$(CARRIER)) \
	  $(if $(WORKERS),--workers=$(WORKERS)) $(if $(CORE),--core=$(CORE)) \
	  $(if $(CHECKOUT),--checkout=$(CHECKOUT))

lint: $(STAMP)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(PROJECTS)
	@if command -v go >/dev/null; then \
	  set -ex; cd loadgen; test -z "$$(gofmt -l .)"; exec go vet ./...; \
	else \
	  echo "no go here: loadgen is not looked at"; \
	fi

# Projects of users, by the types that an installed gnetway has, outside of the checkout.
PROJECTS := set -e; project=$$(mktemp -d); trap 'rm -rf "$$project"' EXIT; \
  cp -R examples/chat examples/porting "$$project"; mypy="$(CURDIR)/$(BIN)/mypy"; \
  mypy="$$mypy --cache-dir $(CURDIR)/.mypy_cache/projects --config-file $$project/chat/pyproject.toml"; \
  cd "$$project/chat"; $$mypy chat tests; cd ../porting; $$mypy server.py adapter.py

# $(call dotted,COMMAND): runs what is long and silent, and prints a dot every two seconds meanwhile.
dotted = { while sleep 2; do printf .; done & dots=$$!; trap "kill $$dots" EXIT; \
  trap 'exit 130' INT TERM; $(1); status=$$?; echo; (exit $$status); }

# The lock file has hashes, so nothing but what was locked can be installed. It has what tests, lint,
# documents and the compiler need besides; requirements.lock has what a gateway needs to run. The .pth file puts the
# checkout on the path, where twistd finds its plugin.
$(STAMP): requirements-dev.lock
	@echo "installing packages into $(VENV): a minute or two the first time"
	@$(PYTHON) -m venv $(VENV)
	@$(call dotted,$(BIN)/pip install --quiet --require-hashes -r requirements-dev.lock)
	@$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))' | \
	  { read -r site; pwd > "$$site/gnetway-checkout.pth"; }
	@touch $@

# A tree of its own, so that what is compiled hides nothing in the checkout; only what asks for it
# has it on its path. The core is compiled anew when a source of it has changed, all else is copied
# each time. The stamp is as old as the beginning, for sources that change meanwhile. Where it
# cannot be compiled the tree is pure Python, and the next call tries again.
compiled: $(CORE_STAMP)
	@rm -rf $(COMPILED) && mkdir -p $(COMPILED)
	@cp -RLp gnetway $(COMPILED)/
	@[ ! -e $(CORE_STAMP) ] || cp -Rp build/core/. $(COMPILED)/

$(CORE_STAMP): $(CORE_SOURCES) setup.py setup.cfg $(STAMP)
	@rm -rf build/core && mkdir -p build && touch build/.begun
	@echo "compiling the core: some minutes the first time"
	@$(call dotted,GNETWAY_COMPILED=try $(BIN)/python setup.py --quiet build_ext \
	  --build-lib build/core --build-temp build/temp) || \
	  { rm -rf build/core; echo "the core could not be compiled"; }
	@if [ -d build/core ]; then mv build/.begun $@; fi

etc/server_pkcs1.key: | $(STAMP)
	$(BIN)/python -m gnetway make-key $@

# $(call debian,PROGRAM,PACKAGES): the live tests need the program; where it is missing and we may,
# Debian's packages are installed.
debian = command -v $(1) >/dev/null || \
  { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && \
    { apt-get install -y -q $(2) || { apt-get update -q && apt-get install -y -q $(2); }; } \
    >/dev/null; } || \
  echo "no $(1) here: the tests that need it will be skipped"

# The headers of Debian's own Python come with the compiler; others have theirs with them.
compiler:
	@$(call debian,cc,gcc libc6-dev python3-dev)

etcd:
	@$(call debian,etcd,etcd-server etcd-client)

haproxy:
	@$(call debian,haproxy,haproxy)

nginx:
	@$(call debian,nginx,nginx-light libnginx-mod-stream)

caddy:
	@$(call debian,caddy,caddy)

logrotate:
	@$(call debian,logrotate,logrotate)

# Debian's may be too old, so it is not installed.
go:
	@command -v go >/dev/null || echo "no go here: the tests that need it will be skipped"

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
	rm -rf .import_linter_cache _trial_temp* tests.*/ .coverage $(WEB)/node_modules loadgen/loadgen
	rm -f etc/server_pkcs1.key etc/server_pkcs1.key.pub etc/gnetway.sqlite* twisted/plugins/dropin.cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
