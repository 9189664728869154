# rs3l-campaign: `make demo` runs the laptop campaign, `make test` the tests. Everything else is Snakemake.

PYTHON ?= python3
CORES ?= all
CONFIG ?= config/config.yaml
VENV := $(CURDIR)/.venv
BIN := $(VENV)/bin
RUN := PATH="$(BIN):$$PATH" "$(BIN)/python"

# `make test-slurm`: run, or try (no failure on a machine where Slurm cannot be installed or started).
SLURM ?= run

# `make resume`: a profile, or the cores of this machine; ARGS: more options of Snakemake.
PROFILE ?=
ARGS ?=
RESUME = $(if $(PROFILE),--profile "$(PROFILE)",--cores "$(CORES)" --logger campaign) \
  $(if $(AWAIT),--await) $(if $(ANY_HOST),--any-host)

# `make test`: a worker of pytest-xdist per core; PYTEST: more options of pytest.
WORKERS = -n auto --maxprocesses 4 --no-loadscope-reorder
PYTEST ?=

# `make gpu-check`: more options of benchmarks/gpu_check.py.
GPU_CHECK ?=

# `make test-processor`: default, avx2 or avx512, of which torch takes the best by itself.
PROCESSOR ?= default

.PHONY: bench notebook screenshots site-screenshots chromium gpu-check compare publish replay plan plan-docs envs pins test-conda demo test test-processor test-report test-faults test-slurm status resume lint format schema site lock venv clean help

help:  ## develop: this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {i = index($$2, ": "); g = substr($$2, 1, i - 1); \
	  text[g] = text[g] sprintf("  make %-15s %s\n", $$1, substr($$2, i + 2))} \
	  END {n = split("run,test,set up,develop", groups, ","); \
	  for (k = 1; k <= n; k++) printf "to %s\n%s\n", groups[k], text[groups[k]]}' \
	  $(MAKEFILE_LIST)

venv: $(VENV)/.complete  ## set up: the Python environment, from the lock file

$(VENV)/.complete: requirements.lock tools/install_torch.py pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11")'
	@echo "installing into .venv (a few minutes, once)"
	@$(PYTHON) -m venv "$(VENV)"
	@"$(BIN)/python" -m pip -q install --require-hashes --only-binary pythia8mc,fastjet,pyarrow -r requirements.lock
	@"$(BIN)/python" tools/install_torch.py
	@"$(BIN)/python" -m pip -q install --no-deps --no-build-isolation --editable .
	@touch $@

demo: venv  ## run: simulate, merge, train, evaluate and report: config/config.yaml on all cores
	@$(RUN) tools/demo.py --config "$(CONFIG)" --cores "$(CORES)"

test: venv  ## test: all tests, with the miniature campaign, on up to four cores
	@$(RUN) -m pytest tests -m "not faults and not slurm and not conda" $(WORKERS) $(PYTEST)

test-processor: venv  ## test: the miniature campaign as another processor would compute it: make test-processor PROCESSOR=avx2
	@ATEN_CPU_CAPABILITY="$(PROCESSOR)" $(RUN) -m pytest tests/campaign/test_campaign.py -k everything_is_there $(PYTEST)

test-faults: venv  ## test: SIGKILL, full disk, damaged files, clock skew, Ctrl-C ... on tiny campaigns; then on Slurm
	@$(RUN) -m pytest tests -m "faults and not slurm"
	@$(RUN) tests/slurm/cluster.py try -- "$(BIN)/python" -m pytest tests/slurm -m faults

status: venv  ## run: how far a campaign is: make status CONFIG=my.yaml CORES=200
	@$(RUN) tools/status.py --config "$(CONFIG)" --cores "$(CORES)"

test-slurm: venv  ## test: the miniature campaign on a Slurm of this machine (root, Debian: installs its packages)
	@$(RUN) tests/slurm/cluster.py $(SLURM) -- "$(BIN)/python" -m pytest tests/slurm -m "not faults" $(PYTEST)

test-conda: venv  ## test: `--sdm conda` with a stand-in for conda and a local channel: the miniature campaign, wrong environments
	@test -x .conda-test/bin/python || $(PYTHON) -m venv .conda-test
	@.conda-test/bin/python -m pip -q install --require-hashes --only-binary :all: -r tests/conda/requirements.txt
	@CONDA_STAND_IN_PYTHON="$(CURDIR)/.conda-test/bin/python" $(RUN) -m pytest tests/conda

chromium: venv  ## set up: the browser that the tests of the report need (root, Debian: installs it)
	@$(RUN) tests/report/browser.py

screenshots: venv  ## develop: pictures of a report, wide and narrow, light and dark: make screenshots REPORT=results/demo/report.html
	@$(RUN) tools/screenshots.py "$(or $(REPORT),results/demo/report.html)"

site-screenshots: site  ## develop: pictures of the site's start, pages and search, wide and narrow, light and dark
	@$(RUN) tools/screenshots.py build/site --folder build/screenshots/site

test-report: venv  ## test: the report of the miniature campaign in headless Chromium (root, Debian: installs it)
	@$(RUN) tests/report/browser.py -- "$(BIN)/python" -m pytest tests/report $(PYTEST)

plan: venv  ## run: what a campaign will cost, and what will not fit: make plan CONFIG=my.yaml PLAN="--cores 200 --node-memory 64"
	@$(RUN) tools/plan.py --config "$(CONFIG)" $(PLAN)

plan-docs: venv  ## develop: the tables of costs and plans in the documents, from benchmarks/costs.json
	@$(RUN) tools/plan.py --docs

compare: venv  ## run: two campaigns side by side, as Markdown: make compare A=results/one B=results/two HTML=compare.html
	@$(RUN) tools/compare.py "$(A)" "$(B)" $(if $(HTML),--html "$(HTML)")

publish: venv  ## run: summary, tables and figures of a campaign into a folder: make publish CAMPAIGN=results/one FOLDER=docs/results
	@$(RUN) tools/publish.py "$(CAMPAIGN)" "$(FOLDER)"

notebook: venv  ## develop: docs/library.ipynb from docs/library.md
	@$(RUN) tools/make_notebook.py

bench: venv  ## test: speed as ratios, a JSON line per figure (half an hour; docs/benchmarks.md)
	@for name in resim share memory chain merge encoders loader embed finetune; do $(RUN) benchmarks/$$name.py | grep '^{' || exit 1; done

gpu-check: venv  ## test: on a node with a GPU: speed, memory, agreement with the CPU, resumption, the demo, as Markdown
	@$(RUN) benchmarks/gpu_check.py --campaign "$(CONFIG)" $(GPU_CHECK)

replay: venv  ## run: one event alone, and whether it is as in the campaign: make replay EVENT=<event_id> VARIANT=nominal
	@$(RUN) tools/replay.py --config "$(CONFIG)" --event "$(EVENT)" --variant "$(or $(VARIANT),nominal)"

envs: venv  ## set up: the conda environments of all rules; a pin file that cannot be installed is an error (needs conda)
	@$(RUN) tools/make_envs.py --configfile "$(CONFIG)"

pins: venv  ## set up: conda pin files of the environments (needs conda, snakedeploy, and conda-forge)
	@snakedeploy pin-conda-envs $(addprefix envs/,$(addsuffix .yaml,generation merge training report))

resume: venv  ## run: after a crash: end orphaned jobs, unlock, go on; PROFILE=slurm CONFIG=my.yaml as before
	@$(RUN) tools/resume.py $(ARGS) $(RESUME) --configfile "$(CONFIG)"

site: venv  ## develop: the pages of docs/ with a search and the library's reference, in build/site; a broken link is an error
	@NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --quiet --strict

lint: site  ## develop: ruff, spelling, mypy --strict, snakefmt, snakemake --lint, and the site
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@"$(BIN)/codespell"
	@$(RUN) -m mypy
	@$(RUN) -m snakefmt --check Snakefile workflow/Snakefile workflow/rules
	@$(RUN) -m snakemake --lint
	@$(RUN) -m snakemake --lint --configfile config/test.yaml

format: venv  ## develop: format the code
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .
	@$(RUN) -m snakefmt Snakefile workflow/Snakefile workflow/rules

schema: venv  ## develop: config/schema.json and the tables of docs/config, from the typed configuration
	@$(RUN) tools/make_schema.py

lock: venv  ## develop: requirements.lock from requirements.in
	@$(RUN) -m uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header \
	  --only-binary pythia8mc --only-binary fastjet --only-binary pyarrow requirements.in -o requirements.lock
	@$(RUN) tools/make_post_deploy.py

clean:  ## set up: remove the results of the demo and the caches, not the environment
	rm -rf results/demo .mypy_cache .ruff_cache .pytest_cache
