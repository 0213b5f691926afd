# Two commands for a new machine: `sudo make demo` and `sudo make test`. `make help` lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo test test-vm fuzz lint format bench dist clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what is missing, make .venv, compile (sudo where packages are missing)
	@config/setup.sh

demo: setup ## serve a sample site on a pair of virtual interfaces (sudo); SITE=folder serves yours
	@exec .venv/bin/bypass demo $(if $(SITE),"$(SITE)")

test: ## lint and all tests (sudo); ARGS= goes to pytest
	@config/test.sh $(ARGS)

test-vm: ## tests on emulated network cards, with QEMU and a kernel it downloads (sudo); ARGS= as above
	@config/test-vm.sh $(ARGS)

fuzz: ## hostile frames and requests, guided by coverage, from a new seed; MINUTES=1
	@config/setup.sh --test
	@.venv/bin/python -m tests.fuzz --minutes $(or $(MINUTES),1) $(ARGS)

lint: ## ruff, mypy --strict, cython-lint
	@config/setup.sh --test
	@config/lint.sh

format: ## put Python sources into the style that lint asks for
	@config/setup.sh --test
	@.venv/bin/python -m ruff check --quiet --fix .
	@.venv/bin/python -m ruff format --quiet .

bench: ## measure the engine on this machine
	@config/setup.sh
	@.venv/bin/bypass bench engine $(ARGS)

dist: ## source archive and wheel in dist/
	@config/setup.sh --test
	@.venv/bin/python -m build --no-isolation

clean: ## remove .venv and everything built
	@rm -rf .venv .cache build dist bypass.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -path ./.git -prune -o -name __pycache__ -type d -prune -exec rm -r {} +
	@rm -f cython_ext/*.c bypass/*.so bypass/xdp/*.so bypass/xdp/_bpf.c bypass/xdp/*.bpf.o
