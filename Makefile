# Every target installs what it needs into .venv first. Works on Linux and macOS; on Windows see
# the README.

PYTHON ?= python3
BIN := .venv/bin
# The name of the stamp changes with what is to be installed, whatever the files' dates say.
STAMP := .venv/.installed-$(shell cat pyproject.toml constraints.txt | cksum | cut -d ' ' -f 1)

.PHONY: help demo test faults coverage lint docs quality bench ablation pictures model clean
.DEFAULT_GOAL := help

help: ## Say what the targets do
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: $(STAMP) ## Super-resolve the bundled CT of an ear into output/demo
	$(BIN)/microctsr demo --output output/demo

test: $(STAMP) ## Run the tests
	$(BIN)/python -m pytest

coverage: $(STAMP) ## Run the tests and report the lines and branches that they reach
	rm -rf output/coverage
	mkdir -p output/coverage
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	rm -f output/coverage/data.* # half written by processes that tests have killed
	$(BIN)/coverage html --quiet --directory output/coverage/html
	$(BIN)/coverage report --fail-under 92 --include 'MicroCTSR/microctsr_core/*'
	$(BIN)/coverage report --fail-under 85 --omit 'MicroCTSR/microctsr_core/*'

faults: $(STAMP) ## Try 22,000 damaged files and requests, and print what came of them
	$(BIN)/python Testing/Faults/fuzz.py

lint: $(STAMP) ## Check style, formatting, types and CMake's lists of files
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python Testing/CMake/check_extension_files.py

docs: $(STAMP) ## Build the documentation's site into output/site; every warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

quality: $(STAMP) ## Print the bundled model's quality on held-out phantoms
	$(BIN)/python Testing/Benchmarks/phantom_quality.py

bench: $(STAMP) ## Run every benchmark but the ablation
	@set -e; for script in $(filter-out %/ablation.py,$(wildcard Testing/Benchmarks/*.py)); do \
		echo "$$script"; $(BIN)/python "$$script"; done

ablation: $(STAMP) ## Train the method with each of its parts off (hours; after make model)
	$(BIN)/python Testing/Benchmarks/ablation.py

pictures: $(STAMP) ## Draw the pictures of the documentation again
	$(BIN)/python Docs/make_icons.py
	$(BIN)/python Docs/make_pictures.py
	$(BIN)/python Docs/make_limits_pictures.py
	$(BIN)/python Docs/make_slider.py
	$(BIN)/python Docs/make_slicer_pictures.py
	$(BIN)/python Docs/make_study_pictures.py
	$(BIN)/python Docs/make_training_pictures.py

PHANTOMS := $(BIN)/microctsr phantom --region all --workers 2
model: $(STAMP) ## Train the bundled model again (hours)
	$(PHANTOMS) --output output/model/high --domain high --cases 32 --seed 2000 --shape 20,64,64
	$(PHANTOMS) --output output/model/low --domain low --cases 16 --seed 1000 --shape 20,64,64 \
		--thick 0.34
	$(PHANTOMS) --output output/model/check --cases 4 --seed 3000 --shape 6,48,48
	$(BIN)/microctsr train --low output/model/low --high output/model/high \
		--output output/model/ear --config Resources/Recipes/ear.yaml
	cp output/model/ear/card.json output/model/ear/weights.safetensors \
		MicroCTSR/microctsr_core/models/ear/

clean: ## Remove results and caches; the environment stays (remove .venv by hand)
	rm -rf output build dist .pytest_cache .hypothesis .mypy_cache .ruff_cache
	find MicroCTSR MicroCTSRTraining Testing -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name it as in: make PYTHON=python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	@rm -f .venv/.installed-*
	@touch $@
