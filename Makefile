# Everything works in a virtual environment of the project's own; Python 3.11+ and make are all it needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt
DEMO ?= demo

.PHONY: help demo gallery test fuzz bench lint clean

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST)

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

test: $(VENV)/.installed-test ## Run the tests
	$(BIN)/python -m pytest -m "not fuzz"

fuzz: $(VENV)/.installed-test ## Run the long property tests
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest -m fuzz

bench: $(VENV)/.installed-bench ## Compare the speed with other libraries, in one run
	$(BIN)/python -m benchmarks

lint: $(VENV)/.installed-lint ## Style and types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean: ## Remove what was made, the environment too
	rm -rf $(VENV) $(DEMO) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
