# Two commands: `make demo` and `make test`. Each sets up what it needs; a second run takes seconds.
# Variables: PYTHON (which interpreter), HEADLESS=1 (demo without a window), CHROMIUM (which browser),
# TORCH_INDEX (a package index with CPU builds of torch, asked besides the usual one).
PYTHON ?= python3
VENV := .venv/bin/python
export HEADLESS CHROMIUM TORCH_INDEX
export PYTHONUNBUFFERED := 1

.PHONY: help demo test dev check wire build bench bench-quick versions picture views fuzz faults mutants setup clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/' | expand -t 12

demo: build ## open JupyterLab on the first notebook; HEADLESS=1: draw it into build/demo instead
	@$(VENV) scripts/demo.py

test: build ## run all checks and tests
	@$(VENV) scripts/run_tests.py

dev: setup ## JupyterLab in which a saved TypeScript file shows at once
	@$(VENV) scripts/dev.py

check: setup ## lint, format, types, and the freshness of generated files
	@$(VENV) scripts/check.py

wire: setup ## write the generated half of the wire from its Python declaration
	@$(VENV) -m attnwidget.wire

build: setup ## build the JavaScript into attnwidget/static
	@$(VENV) scripts/javascript.py bundle

bench: build ## run every benchmark; docs/performance.md is written (half an hour)
	@for script in benchmarks/*.py; do echo "== $$script"; $(VENV) $$script || exit 1; done

versions: build ## test the widget with other versions of Python, anywidget, ipywidgets and ipykernel (minutes)
	@$(VENV) scripts/versions.py

bench-quick: build ## compare what is cheap with other libraries and with benchmarks/stored.json (two minutes)
	@$(VENV) benchmarks/peers.py --quick

picture: ## draw the pictures of the README again
	@$(MAKE) --no-print-directory demo HEADLESS=1
	@$(VENV) scripts/picture.py

views: build ## write js/demo.html, every view without a kernel; vitest -u then renews js/test/pictures
	@$(VENV) scripts/demo_page.py

fuzz: build ## try RUNS=20000 inputs that a fuzzer makes on what reads files, messages and texts; ONLY=file one target
	@RUNS="$(RUNS)" ONLY="$(ONLY)" $(VENV) scripts/fuzz.py

faults: build ## let RUNS=5 faults of each kind happen to a page at random moments that SEED=0 decides; ONLY=reload one kind
	@$(VENV) scripts/faults.py --runs "$(or $(RUNS),5)" --seed "$(or $(SEED),0)" $(if $(ONLY),--only "$(ONLY)")

mutants: build ## change the code in small ways and see whether tests notice; ONLY="attnwidget/file.py" SAMPLE=60 SEED=1 some
	@ONLY="$(ONLY)" SAMPLE="$(SAMPLE)" SEED="$(SEED)" JOBS="$(JOBS)" $(VENV) scripts/mutants.py

setup:
	@$(PYTHON) scripts/bootstrap.py

clean: ## remove everything that make made
	rm -rf .venv build dist node_modules attnwidget/static .mypy_cache .pytest_cache .ruff_cache
	find attnwidget scripts tests -name __pycache__ -type d -prune -exec rm -rf {} +
