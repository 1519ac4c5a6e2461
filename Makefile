# Everything works in a virtual environment of the project's own; Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO ?= demo
# what tests more than blurgen's core
NOT_CORE := fuzzing trainers test_benchmarks.py test_docs.py test_examples.py test_export_pairs.py test_notebooks.py \
	test_play_page.py test_play_state.py test_report.py test_report_browser.py test_untrusted_documents.py test_untrusted_images.py
SOAK ?=
FUZZ ?= --runs 20000 --seconds 600

.PHONY: help demo gallery docs test test-oldest fuzz soak fuzz-inputs bench lint dist check-dist audit clean

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# one stamp for each set of extras, made anew when what is asked for changes
$(VENV)/.installed-%: pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) --editable ".[$*]"
	@touch $@

demo: $(VENV)/.installed-train ## Make a pair file from drawn digits, a picture of it, and a network that deblurs
	@mkdir -p $(DEMO)
	$(BIN)/blurgen make --dataset digits --count 6000 --out $(DEMO)/pairs.h5 --overwrite
	$(BIN)/blurgen info $(DEMO)/pairs.h5
	$(BIN)/blurgen show $(DEMO)/pairs.h5 --out $(DEMO)/pairs.png
	rm -rf $(DEMO)/run
	$(BIN)/python -m trainers.fit $(DEMO)/pairs.h5 --run $(DEMO)/run --epochs 2
	@echo "pairs: $(DEMO)/pairs.h5, picture: $(DEMO)/pairs.png; blurred, deblurred, sharp: $(DEMO)/run/samples"

gallery: $(VENV)/.installed-draw ## Draw the pages of docs/gallery: every recipe and stage on the same images
	rm -rf docs/gallery
	$(BIN)/blurgen gallery --out docs/gallery

docs: $(VENV)/.installed-docs ## Build the documentation in build/docs; a warning is an error
	rm -rf docs/generated build/docs build/doctrees
	$(BIN)/python -m sphinx -W --keep-going -n -q -d build/doctrees docs build/docs
	@echo "open build/docs/index.html"

test: $(VENV)/.installed-test ## Run the tests
	$(BIN)/python -m pytest -m "not fuzz" --numprocesses auto --dist loadfile

test-oldest: ## Run the tests of blurgen's core with the oldest versions of what it needs
	$(PYTHON) -m venv --clear build/oldest
	build/oldest/bin/pip install --quiet --disable-pip-version-check --constraint constraints-oldest.txt \
		--editable ".[draw,video,zstd]" hypothesis jsonschema mpmath pytest
	build/oldest/bin/python -m pytest -m "not fuzz" tests $(NOT_CORE:%=--ignore=tests/%)

fuzz: $(VENV)/.installed-test ## Run the long property tests
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m fuzz

soak: $(VENV)/.installed-test ## Kill, fill, flip and repeat, for hours; see tests/soak
	$(BIN)/python -m tests.soak $(SOAK)

fuzz-inputs: $(VENV)/.installed-fuzz ## Fuzz everything that reads files of strangers
	$(BIN)/python -m tests.fuzzing $(FUZZ)

bench: $(VENV)/.installed-bench ## Compare the speed with other libraries in one run, and make the page of it in docs
	$(BIN)/python -m benchmarks --page docs/project/measured.md

lint: $(VENV)/.installed-lint ## Style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

dist: $(VENV)/.installed-release ## Build the wheel and the source archive in dist/, and check what they say
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*

check-dist: dist ## Make pairs with the wheel alone, in an environment of its own
	$(PYTHON) -m venv --clear build/empty
	build/empty/bin/pip install --quiet --disable-pip-version-check --constraint constraints.txt dist/*.whl
	cd build/empty && export PYTHONPATH= && \
		bin/blurgen --version && \
		bin/blurgen make --dataset digits --count 10 --out pairs.h5 && \
		bin/blurgen verify pairs.h5

audit: check-dist ## Write the list of what the wheel brings (CycloneDX), and look up known weaknesses
	$(BIN)/cyclonedx-py environment --output-reproducible --of JSON -o build/blurgen.cdx.json build/empty/bin/python
	$(BIN)/pip-audit --strict --disable-pip --no-deps --requirement constraints.txt

clean: ## Remove what was made, the environment too
	rm -rf $(VENV) $(DEMO) build dist docs/generated .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
