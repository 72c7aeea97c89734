# SPDX-FileCopyrightText: 2026 keyturn.credentials contributors
# SPDX-License-Identifier: GPL-3.0-or-later

# The door; what happens behind it is in noxfile.py. Words for the command itself: make test ARGS='tests/unit -k slots'
PYTHON ?= python3
ARGS ?=
SPEC ?=
NOX = .venv/bin/nox --session
WORDS = $(if $(ARGS),-- $(ARGS))

.DEFAULT_GOAL := help
.PHONY: help fix quick demo sandbox test test-cores test-lowest test-modules judge-meraki judge-awx test-rest-servers test-gateway campaign mutations bench scale lint build release-check ci clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-17s %s\n' "$$name" "$$text"; done

.venv/bin/nox: requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed, try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv --clear .venv
	.venv/bin/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

fix: .venv/bin/nox ## format and sort all Python here
	$(NOX) fix

quick: .venv/bin/nox ## ruff, mypy, and the unit tests of what changed since main
	.venv/bin/nox -R --session quick $(WORDS)

demo: .venv/bin/nox ## one rotation from beginning to end against local servers
	$(NOX) demo $(WORDS)

sandbox: .venv/bin/nox ## the local servers, until Ctrl-C
	$(NOX) sandbox $(WORDS)

TESTED = 'test(2.19)' 'test(2.21)'
test: .venv/bin/nox ## all tests, with ansible-core 2.19, and 2.21 if there is a Python for it
	$(NOX) $(if $(ARGS),$(TESTED),molecule judge-meraki test-connector4 test-rest-servers $(TESTED)) $(WORDS)

test-cores: .venv/bin/nox ## tests and sanity with ansible-core 2.20 and 2.22, too, for which there is a Python
	$(NOX) 'sanity(2.20)' 'sanity(2.22)' 'test(2.20)' 'test(2.22)' $(WORDS)

test-lowest: .venv/bin/nox ## unit tests and runs of two roles with the oldest Python packages that are permitted
	$(NOX) test-lowest $(WORDS)

test-modules: .venv/bin/nox ## integration tests with modules in a Python of their own, as on other hosts
	$(NOX) test-modules $(WORDS)

judge-meraki: .venv/bin/nox ## Cisco's clients, and Prism with Cisco's document (SPEC=file), judge what we send and the sandbox
	$(NOX) judge-meraki $(if $(SPEC),-- $(SPEC))

judge-awx: .venv/bin/nox ## AWX's own code judges extensions/awx
	$(NOX) judge-awx $(WORDS)

test-rest-servers: .venv/bin/nox ## recipes of REST services, on real servers
	$(NOX) test-rest-servers $(WORDS)

test-gateway: .venv/bin/nox ## every case of the Keeper Gateway's script, and its cost
	$(NOX) test-gateway $(WORDS)

campaign: .venv/bin/nox ## the long test campaigns
	$(NOX) campaign $(WORDS)

mutations: .venv/bin/nox ## promises broken on purpose, one at a time: a test must notice each
	$(NOX) mutations $(WORDS)

bench: .venv/bin/nox ## what a rotation costs beside its peers and a former build (ARGS='--base COMMIT')
	$(NOX) bench $(WORDS)

scale: .venv/bin/nox ## 200 accounts with 50 credentials each, with forks and slices, counted and measured
	$(NOX) scale $(WORDS)

lint: .venv/bin/nox ## all static checks, the documentation's site, and the collection's tarball built, installed, and judged by Galaxy's importer
	$(NOX) lint 'sanity(2.19)' 'sanity(2.21)' site build importer

release-check: .venv/bin/nox ## all that a release needs, as a checklist
	$(NOX) release-check $(WORDS)

build: .venv/bin/nox ## the collection's tarball, in dist/
	$(NOX) build

ci: ## what CI runs: lint, then test
	bash .ci/run

clean: ## remove everything that the targets above have made
	rm -rf .ansible .cache .hypothesis .mypy_cache .nox .pytest_cache .ruff_cache .venv collections dist tests/output
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
