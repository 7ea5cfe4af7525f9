# Everything is made inside this directory. Needed before: git, make and python3 (3.10 or newer) with venv.

PYTHON ?= python3
KEEP ?=
PYTEST ?=
# More than there are cores: many tests wait for something.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(1 + len(os.sched_getaffinity(0)))')
BENCH ?=
FUZZ ?=
FUZZ_SECONDS ?= 60

# Ansible's commands keep their files in the home directory unless told otherwise.
export ANSIBLE_HOME := $(CURDIR)/build/ansible

version := $(shell sed -n 's/^version: *//p' galaxy.yml)
archive := build/agentless-codedeploy-$(version).tar.gz
# Folders are listed too: their times tell of files that were removed.
sources := galaxy.yml README.md LICENSE CHANGELOG.md \
    $(shell find meta plugins roles playbooks docs changelogs extensions -name __pycache__ -prune -o -print 2>/dev/null)

.PHONY: help setup demo test lint sanity molecule unit rollouts test-matrix traffic bench fuzz clean

help:
	@echo 'make setup        .venv with ansible-core, this collection and the tools for the tests'
	@echo 'make demo         deploy a sample application to two instances on this machine (KEEP=1: leave it running)'
	@echo "make test         all tests with the newest ansible-core that $(PYTHON) serves (PYTEST='-k stop': some)"
	@echo 'make test-matrix  the supported ansible-cores and Pythons of instances that are found on this machine'
	@echo 'make rollouts     all deployments of up to 6 instances, and 5,000 random ones, against a model (an hour)'
	@echo 'make traffic      ten deployments behind haproxy and nginx with 100 requests a second, of which none may fail'
	@echo 'make bench        measure, and compare with the limits (BENCH=--help: what else it takes)'
	@echo 'make fuzz         look for inputs that break it (FUZZ_SECONDS=600: longer; FUZZ=archives: one target)'
	@echo 'make clean        remove everything that these made'

setup: .venv/collection .venv/tools

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed; name one: make PYTHON=python3.12 ..." \
	    if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

.venv/ansible: requirements.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --upgrade --requirement requirements.txt
	@touch $@

.venv/tools: tests/requirements.txt .venv/ansible
	.venv/bin/python -m pip install --quiet --upgrade --requirement requirements.txt --requirement tests/requirements.txt
	@touch $@

$(archive): $(sources) | .venv/ansible
	@mkdir -p build
	.venv/bin/ansible-galaxy collection build --force --output-path build .

# Among the virtual environment's own packages Ansible finds the collection from any directory, without a setting.
.venv/collection: $(archive)
	packages=$$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))') && \
	ANSIBLE_COLLECTIONS_PATH=$$packages .venv/bin/ansible-galaxy collection install \
	    --force --no-deps --offline --collections-path $$packages $(archive)
	@touch $@

demo: .venv/collection
	@KEEP=$(KEEP) examples/hollowweb/demo

test: setup
	@tests/tools/announce
	$(MAKE) lint molecule
	$(MAKE) --jobs=2 --output-sync=target sanity unit

lint: .venv/tools
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	tests/tools/typecheck
	.venv/bin/yamllint --strict .
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/ansible-lint
	.venv/bin/antsibull-changelog lint

sanity: .venv/tools
	.venv/bin/python tests/tools/sanity.py

molecule: setup
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/molecule test

unit: setup
	.venv/bin/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(PYTEST)

rollouts: setup
	CODEDEPLOY_TEST_ALL_ROLLOUTS=1 .venv/bin/python -m pytest --numprocesses auto --dist worksteal \
	    tests/unit/plugins/plugin_utils/test_store_schedules.py tests/integration/test_rollouts.py $(PYTEST)

test-matrix: setup
	.venv/bin/python -m pytest --numprocesses auto --dist worksteal tests/matrix $(PYTEST)

traffic: setup
	CODEDEPLOY_TEST_TRAFFIC=10 .venv/bin/python -m pytest tests/integration/test_traffic.py -n 0 -s -k test_no_request_fails

bench: setup
	PYTHONPATH=tests .venv/bin/python -m benchmark $(BENCH)

.venv/fuzz: tests/fuzz/requirements.txt .venv/tools
	.venv/bin/python -m pip install --quiet --upgrade --requirement tests/fuzz/requirements.txt
	@touch $@

fuzz: setup .venv/fuzz
	FUZZ_SECONDS=$(FUZZ_SECONDS) PYTHONPATH=tests .venv/bin/python -m fuzz $(FUZZ)

clean:
	rm -rf .venv .venv-matrix build .mypy_cache .pytest_cache .ruff_cache .hypothesis
