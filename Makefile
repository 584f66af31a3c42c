# make demo      install into .venv and fit a network to the handwritten digits that ship with scikit-learn
# make test      install what the tests need and run them
# make check     ruff and mypy
# make slow      the long checks that the normal suite leaves out
# make numerics  the tests that compute in PyTorch, once more with the instructions of a processor without AVX-512
# make coverage  the tests again, and which lines and branches they ran: the figure at the end, coverage.xml for tools

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CORES ?= 2
BUDGET := size<=60kB, latency<=1ms@onnxruntime-cpu

.PHONY: demo test check slow numerics coverage clean

demo: $(VENV)/.samples
	$(BIN)/pocketcnn data digits --out demo/digits
	$(BIN)/pocketcnn fit demo/digits --budget "$(BUDGET)" --out demo/fit

# One thread for each worker: small networks gain nothing from more, and the workers share the cores.
test: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES) --dist worksteal

slow: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest -m slow -n $(CORES) --dist worksteal

coverage: $(VENV)/.test
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES) --dist worksteal --cov --cov-report=term --cov-report=xml

# What accuracies and margins are on a processor without AVX-512: the areas that train and approximate, once more.
# PyTorch, oneDNN and MKL are held to AVX2; runtimes choose for themselves, so that their tests and those of formats are left out.
numerics: $(VENV)/.test
	OMP_NUM_THREADS=1 ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 \
		$(BIN)/pytest -m "compression or training or layers" -n $(CORES) --dist worksteal

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# An extra is installed once, and again when pyproject.toml changes.
$(VENV)/.%: pyproject.toml | $(BIN)/pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[$*]'
	touch $@

$(BIN)/pip:
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .coverage* coverage.xml
