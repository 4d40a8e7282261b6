# Every target is one line into Python; `python3 -m ci VERB --help` tells more of each.
SHELL := /bin/sh
PYTHON ?= python3
ENV ?= local
export LEANDATA_PORT_BASE := $(or $(PORT_BASE),$(LEANDATA_PORT_BASE))
export LEANDATA_STATE := $(or $(STATE),$(LEANDATA_STATE))
LEANDATA = @$(PYTHON) -m ci
JSON_ = $(if $(JSON),--json)
.DEFAULT_GOAL := help
.PHONY: help access affected approve bench bootstrap check comment cost deploy destroy doctor drift drift-issues images logs new-service owners policy pr-env preview releases render report restart rollback rotate run scan setup signoff sleep smoke snapshot status test test-cluster wake workflows

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' Makefile
deploy: ## bring ENV to what the programs declare (STACK=api,dash  DRY=yes  PLAN=file  CANARY=dash  YES=yes  PORT_BASE=17400  STATE=folder)
	$(LEANDATA) deploy --env "$(ENV)" --stack "$(STACK)" --plan "$(PLAN)" --fingerprint "$(FINGERPRINT)" --canary "$(CANARY)" $(if $(DRY),--dry) $(if $(YES),--yes) $(JSON_)
bootstrap: ## make what an AWS account needs, once, by a person: state bucket, roles of CI, budget (ENV=dev  DRY=yes)
	$(LEANDATA) bootstrap --env "$(ENV)" $(if $(DRY),--dry) $(JSON_)
images: ## build the images that changed; needs a container engine (ENV=cluster  SERVICE=api  DRY=yes)
	$(LEANDATA) images --env "$(ENV)" --service "$(SERVICE)" $(if $(DRY),--dry) $(JSON_)
releases: ## what was deployed; two of them compared (ENV=prod  A=release  B=release)
	$(LEANDATA) releases --env "$(ENV)" --a "$(A)" --b "$(B)" $(JSON_)
rollback: ## bring an older release back: what cannot be undone first, then the preview, a question, the deployment (TO=release  DRY=yes  YES=yes)
	$(LEANDATA) rollback --env "$(ENV)" --to "$(TO)" $(if $(DRY),--dry) $(if $(YES),--yes) $(JSON_)
where: ## which environments run a commit (CHANGE=commit)
	$(LEANDATA) where --env "$(ENV)" --change "$(CHANGE)" $(JSON_)
status: ## what runs, how healthy it is, how fresh the data is
	$(LEANDATA) status --env "$(ENV)" $(JSON_)
logs: ## what services wrote (SERVICE=api  FOLLOW=yes)
	$(LEANDATA) logs --env "$(ENV)" --service "$(SERVICE)" $(if $(FOLLOW),--follow) $(JSON_)
restart: ## restart a service (SERVICE=api)
	$(LEANDATA) restart --env "$(ENV)" --service "$(SERVICE)" $(JSON_)
rotate: ## a new key for a service user of the warehouse, safe to interrupt (ENV=prod  USER=airflow  DRY=yes)
	$(LEANDATA) rotate --env "$(ENV)" --user "$(if $(filter command,$(firstword $(origin USER))),$(USER))" $(if $(DRY),--dry) $(JSON_)
run: ## run a pipeline (PIPELINE=collect_shop  DAY=2026-11-16 | WEEK=2026-W47 | FROM=... TO=...)
	$(LEANDATA) run --env "$(ENV)" --pipeline "$(PIPELINE)" --day "$(DAY)" --week "$(WEEK)" --from "$(FROM)" --to "$(TO)" $(JSON_)
report: ## render the weekly sales report and open it (WEEK=2026-W47)
	$(LEANDATA) report --env "$(ENV)" --week "$(WEEK)" $(JSON_)
render: ## write what will exist as files, without credentials (ENV=prod  OUT=folder)
	$(LEANDATA) render --env "$(ENV)" --out "$(OUT)" $(JSON_)
access: ## who may read and write what, by which path (ENV=prod  WHO=api  WHAT=MARTS.WEEKLY_SALES)
	$(LEANDATA) access --env "$(ENV)" --who "$(WHO)" --what "$(WHAT)" $(JSON_)
policy: ## judge what the programs declare: security, protection, cost (ENV=prod)
	$(LEANDATA) policy --env "$(ENV)" $(JSON_)
pr-env: ## the environment of a pull request (N=7 UP=yes | N=7 DOWN=yes | SWEEP=yes  STACK=lake,mail  ENV=dev OUT=folder)
	$(LEANDATA) pr-env --env "$(ENV)" --number "$(N)" $(if $(UP),--up) $(if $(DOWN),--down) $(if $(SWEEP),--sweep) --stack "$(STACK)" --out "$(OUT)" --tagged "$(TAGGED)" $(JSON_)
preview: ## what a change does, without credentials: risks, cost, who signs (ENV=prod|all  STACK=api  BASE=main  OUT=folder  LIVE=yes  SOFT=yes)
	$(LEANDATA) preview --env "$(ENV)" --stack "$(STACK)" --base "$(BASE)" --out "$(OUT)" --live "$(LIVE)" $(if $(SOFT),--soft) $(JSON_)
scan: ## other people's scanners over manifests, policies, images, shell (ENV=prod  ONLY=checkov,hadolint)
	$(LEANDATA) scan --env "$(ENV)" --only "$(ONLY)" $(JSON_)
sleep: ## take an environment to (almost) nothing (ENV=dev  DRY=yes)
	$(LEANDATA) sleep --env "$(ENV)" $(if $(DRY),--dry) $(JSON_)
wake: ## bring back what sleeps (ENV=dev  DRY=yes)
	$(LEANDATA) wake --env "$(ENV)" $(if $(DRY),--dry) $(JSON_)
cost: ## what an environment costs a month by stack and service, before and after a change (ENV=prod  BASE=main)
	$(LEANDATA) cost --env "$(ENV)" --base "$(BASE)" $(JSON_)
snapshot: ## write down what the environments declare, for review
	$(LEANDATA) snapshot $(JSON_)
drift: ## what ENV is against what was deployed and declared; changes nothing (STACK=lake  OUT=folder  REVERT=yes  SOFT=yes)
	$(LEANDATA) drift --env "$(ENV)" --stack "$(STACK)" --out "$(OUT)" --issues "$(ISSUES)" $(if $(REVERT),--revert) $(if $(SOFT),--soft) $(JSON_)
destroy: ## remove what the stacks made; data is kept unless DATA=yes
	$(LEANDATA) destroy --env "$(ENV)" --stack "$(STACK)" $(if $(DATA),--data) $(JSON_)
test: ## all tests (SERVICE=api  FAST=yes for unit tests only  CHANGED=yes for what a change can affect  BASE=main)
	$(LEANDATA) test --service "$(SERVICE)" $(if $(FAST),--fast) $(if $(CHANGED),--changed --base "$(BASE)") $(if $(DRY),--dry)
affected: ## which stacks, services and images a change touches, and why (BASE=main  ENV=prod)
	$(LEANDATA) affected --base "$(BASE)" --only-env "$(if $(filter command,$(firstword $(origin ENV))),$(ENV))" $(JSON_)
owners: ## write .github/CODEOWNERS; or say who owns a path (WHAT=infra/stacks/lake  CHECK=yes)
	$(LEANDATA) owners --what "$(WHAT)" $(if $(CHECK),--check) $(JSON_)
signoff: ## whether all teams approved a preview's risks (PREVIEW=file REVIEWS=file COMMIT=... AUTHOR=... OWNERS_FROM=main)
	$(LEANDATA) signoff --preview "$(PREVIEW)" --reviews "$(REVIEWS)" --commit "$(COMMIT)" --author "$(AUTHOR)" --owners-from "$(OWNERS_FROM)" $(JSON_)
test-cluster: ## prove the platform on the Kubernetes that KUBECONFIG names (KEEP=yes leaves it there)
	$(LEANDATA) test-cluster $(if $(KEEP),--keep)
workflows: ## write .github/workflows from their description (CHECK=yes writes nothing)
	$(LEANDATA) workflows $(if $(CHECK),--check) $(JSON_)
drift-issues: ## one issue a stack on GitHub, which closes itself (ENV=prod  FROM=drift.json  DRY=yes; needs GITHUB_TOKEN)
	$(LEANDATA) drift-issues --env "$(ENV)" --from "$(FROM)" $(if $(DRY),--dry) $(JSON_)
approve: ## write into a plan which teams approved it on GitHub (PLAN=plan.json; needs GITHUB_TOKEN)
	$(LEANDATA) approve --plan "$(PLAN)" $(JSON_)
smoke: ## ask the pages of services whether they are well (ENV=prod  SERVICE=dash  PATIENCE=120)
	$(LEANDATA) smoke --env "$(ENV)" --service "$(SERVICE)" $(if $(PATIENCE),--patience "$(PATIENCE)") $(JSON_)
comment: ## say on a pull request what its previews found (EVENT=file  DRY=yes; needs GITHUB_TOKEN)
	$(LEANDATA) comment --event "$(EVENT)" $(if $(DRY),--dry) $(JSON_)
check: ## style, types, arrows, budgets
	$(LEANDATA) check
bench: ## measure speed and memory (ONLY=platform,cloud  OUT=file.json)
	$(LEANDATA) bench --only "$(ONLY)" --out "$(OUT)" $(JSON_)
new-service: ## make the folder of a new service (NAME=pricing)
	$(LEANDATA) new-service --name "$(NAME)" $(JSON_)
doctor: ## what this machine has, and what is missing
	$(LEANDATA) doctor --env "$(ENV)" $(JSON_)
setup: ## install what is missing; every verb does it by itself
	$(LEANDATA) setup
