# Every target is one line into Python; `python3 -m ci VERB --help` tells more of each.
SHELL := /bin/sh
PYTHON ?= python3
ENV ?= local
export LEANDATA_PORT_BASE := $(or $(PORT_BASE),$(LEANDATA_PORT_BASE))
export LEANDATA_STATE := $(or $(STATE),$(LEANDATA_STATE))
CI = @$(PYTHON) -m ci
JSON_ = $(if $(JSON),--json)
.DEFAULT_GOAL := help
.PHONY: help bench check deploy destroy doctor logs new-service report restart run setup status test

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
deploy: ## bring ENV to what the programs declare (STACK=api,dash  DRY=yes  PORT_BASE=17400  STATE=folder)
	$(CI) deploy --env "$(ENV)" --stack "$(STACK)" $(if $(DRY),--dry) $(JSON_)
status: ## what runs, how healthy it is, how fresh the data is
	$(CI) status --env "$(ENV)" $(JSON_)
logs: ## what services wrote (SERVICE=api  FOLLOW=yes)
	$(CI) logs --env "$(ENV)" --service "$(SERVICE)" $(if $(FOLLOW),--follow) $(JSON_)
restart: ## restart a service (SERVICE=api)
	$(CI) restart --env "$(ENV)" --service "$(SERVICE)" $(JSON_)
run: ## run a pipeline (PIPELINE=collect_shop  DAY=2026-11-16 | WEEK=2026-W47 | FROM=... TO=...)
	$(CI) run --env "$(ENV)" --pipeline "$(PIPELINE)" --day "$(DAY)" --week "$(WEEK)" --from "$(FROM)" --to "$(TO)" $(JSON_)
report: ## render the weekly sales report and open it (WEEK=2026-W47)
	$(CI) report --env "$(ENV)" --week "$(WEEK)" $(JSON_)
destroy: ## remove what the stacks made; data is kept unless DATA=yes
	$(CI) destroy --env "$(ENV)" --stack "$(STACK)" $(if $(DATA),--data) $(JSON_)
test: ## all tests (SERVICE=api  FAST=yes for unit tests only)
	$(CI) test --service "$(SERVICE)" $(if $(FAST),--fast)
check: ## style, types, arrows, budgets
	$(CI) check
bench: ## measure speed and memory (ONLY=noop,status  OUT=file.json)
	$(CI) bench --only "$(ONLY)" --out "$(OUT)" $(JSON_)
new-service: ## make the folder of a new service (NAME=pricing)
	$(CI) new-service --name "$(NAME)" $(JSON_)
doctor: ## what this machine has, and what is missing
	$(CI) doctor --env "$(ENV)" $(JSON_)
setup: ## install what is missing; every verb does it by itself
	$(CI) setup
