# The two commands are `make figures` and `make test`; both first make the virtual environment .venv.
# They need git, make and Python >= 3.11 (another interpreter: make PYTHON=python3.12 figures).

PYTHON ?= python3
CORES ?= all

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
PEERS := .venv-peers
PEERS_READY := $(PEERS)/.ready
MEASURE = PATH="$(CURDIR)/$(PEERS)/bin:$$PATH" python -m workflow.run --snakefile benchmarks/Snakefile --cores $(CORES)
UNFINISHED := build/benchmarks.unfinished
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
COMPILE := UV_CUSTOM_COMPILE_COMMAND='make lock' uv pip compile pyproject.toml --quiet --universal \
    --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links

# Work runs in parallel by processes: more threads in each would only get in their way.
export OPENBLAS_NUM_THREADS := 1
export OMP_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
# The environment's programs before all others, and nobody's own packages or settings.
export PATH := $(CURDIR)/$(BIN):$(PATH)
export PYTHONNOUSERSITE := 1
export IPYTHONDIR := $(CURDIR)/$(VENV)/ipython
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/matplotlib
# Nor anything written to a home, which may not be there.
export XDG_CACHE_HOME := $(CURDIR)/$(VENV)/cache
export JUPYTER_CONFIG_DIR := $(CURDIR)/$(VENV)/jupyter/config
export JUPYTER_DATA_DIR := $(CURDIR)/$(VENV)/jupyter/data
export JUPYTER_RUNTIME_DIR := $(CURDIR)/$(VENV)/jupyter/runtime
unexport PYTHONPATH PYTHONHOME

.PHONY: help environment figures verify report book lab test fuzz cluster-test browser lint notebooks readme graphs benchmarks lock clean distclean
.DEFAULT_GOAL := help

help: ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

environment: $(READY) ## make the virtual environment from requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python >= 3.11 is needed, $(PYTHON) is " + sys.version.split()[0])'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -c 'import matplotlib.font_manager'  # its font cache, before many ask for it at once
	@touch $@

figures: $(READY) ## rebuild every figure and the table of statements at paper scale
	$(BIN)/python -m workflow.run --cores $(CORES)

verify: $(READY) ## rebuild from scratch in build/verify and compare the numbers with the committed ones
	$(BIN)/python -m workflow.verify --cores $(CORES)

report: figures ## write build/report.html: every figure with its caption, readable without network
	@mkdir -p build
	$(BIN)/python -m workflow.run --report build/report.html

book: $(READY) ## build the book, build/book/html/index.html, and before that whatever it shows
	$(BIN)/python -m workflow.run --cores $(CORES) book

lab: $(READY) ## open the tour in JupyterLab, which asks nothing about news here
	@mkdir -p $(VENV)/share/jupyter/lab/settings
	@cp profiles/jupyterlab/overrides.json $(VENV)/share/jupyter/lab/settings/
	$(BIN)/python -m jupyterlab notebooks/00_tour.ipynb

test: lint ## run every test
	$(BIN)/python -m pytest -n logical

fuzz: $(READY) ## judge 100,000 random limits by exact and many-digit references; killed, it goes on where it was (ARGS=--help)
	@mkdir -p build
	$(BIN)/python -m tests.fuzz --rows build/fuzz.jsonl $(ARGS)

cluster-test: $(READY) ## run all of the workflow, at smoke scale, on a real Slurm of two nodes (needs root)
	WHOLE_WORKFLOW=1 $(BIN)/python -m pytest -n 0 -rs tests/infrastructure/test_slurm.py

lint: $(READY) ## check the style of code, notebooks and workflow
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile benchmarks/Snakefile
	$(BIN)/snakemake --lint
	$(BIN)/snakemake --lint --snakefile benchmarks/Snakefile

browser: $(READY) ## open every notebook in JupyterLab and the explorer in voila, in headless Chromium
	BROWSER=all $(BIN)/python -m pytest tests/infrastructure/test_browser.py

notebooks: $(READY) ## execute the notebooks in place with their default parameters
	$(BIN)/python -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False $(NOTEBOOKS)

readme: $(READY) ## write the generated parts of README.md and of docs, after `make figures`
	$(BIN)/python -m workflow.readme
	$(BIN)/python -m workflow.references
	$(BIN)/python -m workflow.thresholds

graphs: $(READY) ## draw the pictures of the architecture page (needs graphviz)
	$(BIN)/snakemake all book --rulegraph | dot -Tsvg -o docs/rulegraph.svg
	dot -Tsvg -o docs/architecture.svg docs/architecture.dot

benchmarks: $(PEERS_READY) ## measure against other solvers, on a machine with nothing else to do; killed, it goes on where it was
	@mkdir -p build
	@test -e $(UNFINISHED) || { $(MEASURE) --delete-all-output && touch $(UNFINISHED); }
	$(MEASURE)
	@rm $(UNFINISHED)

# An environment of its own: the peers are heavy, not on every platform, and no test needs them.
$(PEERS_READY): benchmarks/requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/requirements.lock
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## resolve both lock files anew (needs uv)
	$(COMPILE) --extra workflow --extra cluster --extra book --extra test --extra dev --output-file requirements.lock
	$(COMPILE) --extra peers --constraints requirements.lock --output-file benchmarks/requirements.lock

clean: ## remove what the workflow and the tests make, but no committed file and not the environment
	rm -rf build results logs .snakemake .mypy_cache .pytest_cache .ruff_cache .hypothesis

distclean: clean ## remove the environment as well
	rm -rf $(VENV) $(PEERS) deepfact.egg-info
