# `make` lists the targets. Everything runs in .venv, which `make setup` creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := PATH="$(CURDIR)/$(BIN):$$PATH" PYTHONPATH=src

# A variable as one word of the shell, exactly as the user gave it: Make would replace ${...} in it.
literal = '$(subst ','\'',$(value $(1)))'

.DEFAULT_GOAL := help
.PHONY: help setup repro verify test campaign lint check study publish publish-studies pdf bench experiment ablate compare graph clean-runs

help: ## print this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

setup: $(BIN)/.ready ## create the environment in .venv from requirements.lock

$(BIN)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is required; select one with make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@

check: setup ## check params.yaml, without running anything
	@$(RUN) python3 -m stages.check

repro: check ## run the pipeline, as many cells at a time as there are cores, then print results
	@since=$$(date +%s); $(RUN) dvc repro rules \
	  && $(RUN) python3 -m ggsa.training.runner core $(if $(JOBS),--jobs $(JOBS)) \
	  && $(RUN) dvc repro && $(RUN) python3 -m ggsa.report.summary --since $$since

verify: setup ## re-derive every published number from the published predictions; trains nothing
	@$(RUN) python3 -m ggsa verify

test: setup ## run every test that needs no network, on all cores, up to four
	$(RUN) OMP_NUM_THREADS=1 python3 -m pytest -m "not network" -n auto --maxprocesses 4

campaign: setup ## kill every stage, fill its disk and feed it malformed inputs (an hour and a half); KILLS=50 for more
	@$(RUN) OMP_NUM_THREADS=1 python3 tests/campaign $(if $(KILLS),--kills $(KILLS)) $(if $(PARTS),--parts $(PARTS))

lint: setup ## run the linters
	$(RUN) ruff check .
	$(RUN) ruff format --check .
	$(RUN) codespell

bench: setup ## time attention, training steps and tagging against other implementations; publish the table
	$(RUN) dvc repro rules
	@$(RUN) python3 -m benchmarks

experiment: setup ## run with other parameters in a copy: make experiment SET='rules.drop=["ADJ->NOUN"]' [NAME=...]
	@$(RUN) python3 -m ggsa.training.experiments run $(call literal,SET) --name=$(call literal,NAME)

ablate: check ## train without each rule in turn and compare; RULES='ADJ->NOUN ...' selects some
	@$(RUN) python3 -m ggsa.training.experiments ablate $(call literal,RULES)

compare: setup ## compare the experiments on this commit with the run in the workspace
	@$(RUN) python3 -m ggsa.training.experiments compare

study: setup ## run a study: make study NAME=controls [CORPUS=probe] [SEEDS="13 42"] [JOBS=2] [CLUSTER=auto]
	@test -n "$(NAME)" || { echo "Which study? make study NAME=..., one of: $$(ls studies | grep -v assets | tr '\n' ' ')"; exit 2; }
	@$(RUN) python3 -m ggsa.training.runner $(NAME) $(if $(CORPUS),--corpus $(CORPUS)) $(if $(JOBS),--jobs $(JOBS)) $(if $(SEEDS),--seeds $(SEEDS)) \
	  $(if $(CLUSTER),--cluster $(CLUSTER)) $(if $(MIXED),--mixed)

publish: check ## publish the latest run and every finished study in reports/published and README.md
	$(RUN) dvc repro
	@$(RUN) python3 -m ggsa.report.publish

publish-studies: setup ## publish every finished study around the run that is published already
	@$(RUN) python3 -m ggsa.report.publish --keep-run

pdf: setup ## print the published page to reports/report.pdf; needs Chromium
	@$(RUN) python3 -m ggsa.report.pdf

graph: setup ## draw the stages
	@$(RUN) dvc dag --collapse-foreach-matrix report

clean-runs: setup ## delete cached models that the current parameters do not need
	$(RUN) dvc gc --workspace --force
	rm -rf .cache/checkpoints
