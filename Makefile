# make demo: see it work.  make test, then make test-long: what CI runs.  make chaos: faults at length.  make fuzz: strange bytes at length.  make install: only .venv.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal
# The hundreds of processes that tests start would each compile every source anew.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make requirements" --constraints requirements/constraints.in --all-extras pyproject.toml

.PHONY: demo test test-long install lint types imports pytest chaos fuzz bench requirements clean

demo: .venv/runtime
	$(BIN)/sosie demo

test: .venv/dev lint types imports pytest

# The same checks at full length, each of which has a slice in `make test`.
test-long: .venv/dev
	$(PYTEST) -m long

install: .venv/runtime

.venv/bin/uv: requirements/bootstrap.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 13) else "Sosie needs Python 3.11 to 3.13, this is %d.%d. Run: make PYTHON=python3.12 …" % v)'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/bootstrap.txt
	touch $@

.venv/runtime: requirements/runtime.txt pyproject.toml | .venv/bin/uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/runtime.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	touch $@

.venv/dev: requirements/dev.txt .venv/runtime
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	touch $@

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/dev
	$(BIN)/mypy

imports: .venv/dev
	$(BIN)/lint-imports

pytest: .venv/dev
	$(PYTEST) -m "not long"

# Hundreds of faults against a real Kafka: make chaos FAULTS=500 SEED=7
chaos: .venv/dev
	$(BIN)/python -m tests.streams.chaos --faults $(or $(FAULTS),200) $(if $(SEED),--seed $(SEED))

# Every parser, for longer: make fuzz SECONDS=3600 SEED=7
fuzz: .venv/dev
	$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),600) $(if $(SEED),--seed $(SEED))

bench: .venv/dev
	$(BIN)/python -m bench
	$(BIN)/python -m bench.streams
	$(BIN)/python -m bench.provenance

requirements: .venv/bin/uv
	$(COMPILE) --output-file requirements/runtime.txt
	$(COMPILE) --group dev --constraints requirements/runtime.txt --output-file requirements/dev.txt
	echo uv | $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
		--custom-compile-command "make requirements" --constraints requirements/dev.txt --output-file requirements/bootstrap.txt -

clean:
	rm -rf .venv build *.egg-info
