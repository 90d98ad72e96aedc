# `make train` and `make test` need Python 3.10 or newer and nothing else.
PYTHON ?= python3
VENV = .venv
RUN = $(VENV)/bin/python
# installing is skipped while setup.cfg is as it was
SCRIPTS = $(VENV)/.scripts
TEST = $(VENV)/.test
PARITY = $(VENV)/.parity
BENCH = $(VENV)/.bench

# a worker for each core, and a core for each worker's products
PYTEST = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(RUN) -m pytest -n auto --dist loadfile

.PHONY: train test lint parity bench clean

train: $(SCRIPTS)
	$(RUN) train_seq2seq.py $(ARGS)

test: $(TEST)
	$(PYTEST) $(ARGS)

lint: $(TEST)
	$(RUN) -m flake8

# holds minigrad against PyTorch, which must be there
parity: $(PARITY)
	MINIGRAD_REQUIRE_TORCH=1 $(PYTEST) tests/parity $(ARGS)

# measures all of benchmarks/README.md and writes it there
bench: $(BENCH)
	$(RUN) benchmarks/page.py $(ARGS)

$(VENV)/bin/python:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 10) and 'minigrad needs Python 3.10 or newer')"
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "no virtual environment: install your system's package for it, often python3-venv"; exit 1; }

$(SCRIPTS): $(VENV)/bin/python setup.cfg
	$(RUN) -m pip install --quiet --editable ".[scripts]"
	touch $@

$(TEST): $(VENV)/bin/python setup.cfg
	$(RUN) -m pip install --quiet --editable ".[test]"
	touch $@

$(PARITY): $(TEST) setup.cfg
	$(RUN) -m pip install --quiet --editable ".[parity]"
	touch $@

$(BENCH): $(PARITY) setup.cfg
	$(RUN) -m pip install --quiet --editable ".[parity,bench]"
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info
