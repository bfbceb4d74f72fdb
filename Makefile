# Two commands: `make app` (open the app) and `make test` (run the tests). Both set everything up first.
PYTHON ?= python3
VENV ?= .venv
PORT ?= 7860
TESTERS ?= 2
CLIP ?= instruct_data/samples/sample_joy.mp4
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: app test check lint weights setup clean

app: weights            ## open the app on a sample clip
	$(BIN)/emollm app --port $(PORT) --clip $(CLIP)

test: weights           ## run the test suite
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile --reruns 1

check: lint test        ## what CI runs

lint: setup             ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

weights: setup          ## fetch the pretrained weights of the default
	$(BIN)/emollm weights pull mini

setup: $(READY)

# torch goes first and pinned: any other resolution may bring gigabytes of GPU libraries.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

clean:                  ## remove what was built; keeps the weights cache and runs/
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
