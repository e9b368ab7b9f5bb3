# Every target sets up .venv first, once; see requirements/install.
# ENGINE=cpu|gpu|core   the packages to install; without it gpu where nvidia-smi works, else cpu
# PORT=8000             where `make serve` listens, on 127.0.0.1
# PYTHON=python3.11     the Python to make .venv with

BIN := .venv/bin
CALIBRATE := $(BIN)/ucbd calibrate models/reference/answers/dpo.jsonl.gz --policy default
.DEFAULT_GOAL := help
.PHONY: help setup services ray serve test verify load lint types format reference reference-nli profiles alignment-tax clean

help: ## show this
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 24
	@sed -n '2,4s/^# /  /p' $(firstword $(MAKEFILE_LIST))

setup: ## make .venv with everything pinned (nothing to do a second time)
	@requirements/install $(ENGINE)

services: ## the programs that tests run: Prometheus, Alertmanager, Chromium, PostgreSQL (Debian's)
	@requirements/services

ray: setup ## Ray Serve beside it, for deploy/ray and its test (not for CI)
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --quiet --no-deps -r requirements/ray.txt

serve: setup ## serve the embedded reference model on 127.0.0.1:$PORT
	@exec $(BIN)/ucbd serve --port "$${PORT:-8000}"

test: lint types services ## the whole test suite, with lint and types: what CI runs
	$(BIN)/pytest -m "not verify"

verify: setup services ray ## the long checks too (minutes, not for CI)
	$(BIN)/pytest

load: setup ## the load test, in its short form, against a gateway that it starts (under 3 minutes)
	@$(BIN)/python -m loadtest short --start --baseline loadtest/baseline.json --out "$${LOAD:-.load}"

lint: setup ## style, bugs and formatting, by ruff
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: setup ## mypy, strict, on app, cascade and models
	$(BIN)/mypy

format: setup ## format, and fix what ruff can fix
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

reference: setup ## train the embedded models again: base, SFT, DPO (FAMILY=folder for another place)
	$(BIN)/python -m ucbd.models.reference.family --arms dpo --out "$${FAMILY:-models/reference/weights/reference}"

reference-nli: setup ## train the embedded NLI model again (NLI=folder for another place)
	$(BIN)/python -m ucbd.models.reference.nli_training --out "$${NLI:-models/reference/weights/reference-nli}"

profiles: setup ## make the shipped profiles again, from recorded answers of the default model
	rm -f $(addprefix cascade/policies/,balanced.json strict.json thrifty.json)
	$(CALIBRATE) --out cascade/policies/balanced.json --alpha 0.10 --stop-error 0.05 --description \
	  "At most 10 % wrong among what is answered."
	$(CALIBRATE) --out cascade/policies/strict.json --alpha 0.05 --stop-error 0.01 --description \
	  "At most 5 % wrong among what is answered; hardly a sample is spared where it might matter."
	$(CALIBRATE) --out cascade/policies/thrifty.json --alpha 0.10 --description \
	  "At most 10 % wrong among what is answered, and never a token more than the answer." \
	  --stages freshness,grounding,pointer,fluency

alignment-tax: setup ## train families on fresh seeds, ask them, write docs/alignment-tax.md (hours; resumable)
	$(BIN)/python -m ucbd.app.studies.experiment --work "$${WORK:-.experiment}" --runs docs/alignment-tax/runs
	$(BIN)/python -m ucbd.cascade.alignment_tax docs/alignment-tax/runs --out docs

clean: ## remove caches and build leftovers (.venv stays: rm -rf .venv)
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist *.egg-info
	find app cascade models tests loadtest deploy -name __pycache__ -type d -prune -exec rm -rf {} +
