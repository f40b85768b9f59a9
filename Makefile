# Sohoa. `make demo` and `make test` are the two commands; `make help` lists the rest.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PY := .venv/bin/python
export PREFECT_LOGGING_LEVEL ?= INFO
# Compiled modules are kept, also where the shell says otherwise: each flow run would compile all of them anew.
export PYTHONDONTWRITEBYTECODE :=

# Any of these will do, the system's own first: other users may run it (docs/en/administrators.md). PYTHON= names one.
PYTHONS := /usr/bin/python3.11 /usr/bin/python3.12 /usr/bin/python3.13 python3.11 python3.12 python3.13
FITTING := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
NEW_VENV = for python in $(or $(PYTHON),$(PYTHONS)); do \
  "$$python" -c '$(FITTING)' 2>/dev/null && exec "$$python" -m venv --clear $(@D:/bin=); done; \
  echo "$(if $(PYTHON),$(PYTHON) is no Python 3.11 to 3.13 with venv,No Python 3.11 to 3.13 with venv is here): apt-get install python3 python3-venv, or say PYTHON=/path/of/one"; exit 1

.venv/bin/python .venv-train/bin/python:
	@$(NEW_VENV)

.venv/.base: requirements/base.txt requirements/uv.txt pyproject.toml | .venv/bin/python
	@echo "· installing (about 2 GB, once)"
	@.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=.venv .venv/bin/uv pip install -q --compile-bytecode --no-deps --require-hashes -r requirements/base.txt
	@VIRTUAL_ENV=.venv .venv/bin/uv pip install -q --no-deps -e .
	@touch $@

.venv/.dev: .venv/.base requirements/dev.txt
	@VIRTUAL_ENV=.venv .venv/bin/uv pip install -q --no-deps --require-hashes -r requirements/dev.txt
	@touch $@

setup: .venv/.base ## install what the product needs
dev: .venv/.dev ## and what developers need

up: setup ## start the stack (PostgreSQL, SeaweedFS, PKI, Prefect, worker) in the background
	@$(PY) -m infra.local up
down: ## stop it; nothing stays running
	@test ! -x $(PY) || $(PY) -m infra.local down
status: ## prove each part of it now
	@$(PY) -m infra.local status

BENCH ?=
SAMPLES := var/samples

$(SAMPLES)/.made: .venv/.base
	@echo "· drawing the sample dossiers"
	@rm -rf $(SAMPLES) && mkdir -p $(SAMPLES)
	@$(PY) -m tests.samples $(SAMPLES) --set demo $(if $(BENCH),--bench $(BENCH))
	@touch $@

demo: setup check-system $(SAMPLES)/.made ## digitise the sample dossiers on the real stack and show what became of them
	@$(PY) -m infra.local up
	@$(PY) -m tests.players.demo $(SAMPLES) --set demo

password: ## what the Prefect UI asks for
	@sed -n 's/^PREFECT_API_AUTH_STRING=//p' $${SOHOA_HOME:-var}/secrets/prefect.env

check-system: setup
	@$(PY) -c "import cv2" 2>/dev/null || { echo "A system library is missing: apt-get install libgl1 libglib2.0-0"; exit 1; }

DEBIAN := poppler-utils softhsm2 prometheus chromium fonts-dejavu-core curl libgomp1
NEEDED_BY_TESTS = { command -v pdfsig && command -v softhsm2-util && command -v promtool && command -v chromium \
  && command -v curl && /sbin/ldconfig -p | grep libgomp.so.1; } >/dev/null \
  || { test "$$(id -u)" = 0 && { apt-get update -qq; apt-get install -y -qq --no-install-recommends $(DEBIAN); } >/dev/null 2>&1; } \
  || { echo "pdfsig, SoftHSM, promtool, Chromium, curl or libgomp is missing: apt-get install $(DEBIAN)"; exit 1; }

# Test files beside each other, each in one process (tests/conftest.py). Of the long ones one mostly waits.
WORKERS ?= 3
LONG_WORKERS ?= 3
BESIDE := --dist loadfile --no-loadscope-reorder

PYTEST := .venv/bin/pytest -q -p no:cacheprovider --durations=10

check: dev ## format, lint, types, layers: under a minute
	.venv/bin/ruff format --check -q . && .venv/bin/ruff check -q . && .venv/bin/mypy && .venv/bin/lint-imports

# Both at once: journeys mostly wait, the units compute.
test: check check-system ## what must hold before a commit: units, attacks and faults, a few samples and the desk on the whole stack
	@$(NEEDED_BY_TESTS)
	@$(MAKE) --no-print-directory -j2 --output-sync=target .units .journeys

.units:
	$(PYTEST) -n $(WORKERS) $(BESIDE) -m "not long" tests --ignore=tests/journeys

.journeys:
	$(PYTEST) -m "not long" tests/journeys

coverage: dev check-system ## share of the product's lines that the tests of `make test` run (journeys' processes don't count)
	@$(NEEDED_BY_TESTS)
	$(PYTEST) -n $(WORKERS) $(BESIDE) -m "not long" --cov --cov-report=term:skip-covered tests --ignore=tests/journeys

test-all: dev check-system ## and what takes long: every defect through the stack, kills, silence, full disks, years, fuzz
	@$(NEEDED_BY_TESTS)
	$(PYTEST) -n $(LONG_WORKERS) $(BESIDE) -m long tests --ignore=tests/journeys
	JOURNEY_ALL=1 $(PYTEST) -m "long or samples" tests/journeys

ATTACK := .venv/bin/pytest -q -p no:cacheprovider -m attack
attack: dev check-system ## every attack against real parts, as a table: attempt, answer, audit entry, proof that nothing changed
	@$(NEEDED_BY_TESTS)
	@mkdir -p var && rm -f var/attack.jsonl && touch var/attack.jsonl
	ATTACK_ROWS=$(CURDIR)/var/attack.jsonl $(ATTACK) -n $(LONG_WORKERS) $(BESIDE) tests --ignore=tests/journeys; \
	  ATTACK_ROWS=$(CURDIR)/var/attack.jsonl $(ATTACK) tests/journeys; \
	  $(PY) -m tests.attack var/attack.jsonl --at-least 80

journeys: dev check-system ## only the samples, played through the whole stack with faults on the way
	@$(NEEDED_BY_TESTS)
	.venv/bin/pytest -q -p no:cacheprovider tests/journeys

screenshots: dev check-system ## pictures of the documents, taken while the browser journeys run
	SCREENSHOTS=docs/images JOURNEY_SAMPLES="01- 10- 12- 13- d05- d09-" .venv/bin/pytest -q -p no:cacheprovider tests/journeys/test_browser.py tests/journeys/test_browser_parting.py

bench-ocr: dev check-system ## character errors and seconds a page of both engines, against Tesseract, same pages, same run; BENCH=folder: on those too
	@command -v tesseract >/dev/null && tesseract --list-langs 2>/dev/null | grep -qx vie \
	  || { test "$$(id -u)" = 0 && apt-get install -y -qq tesseract-ocr tesseract-ocr-vie >/dev/null 2>&1; } \
	  || { echo "Tesseract is missing: apt-get install tesseract-ocr tesseract-ocr-vie"; exit 1; }
	$(PY) -m tests.bench.ocr $(if $(BENCH),--bench $(BENCH))

bench-extraction: dev check-system ## fields of 374 generated papers (scans, phone photos, low resolution); BENCH=folder: and its scans
	$(PY) -m tests.bench.extraction $(if $(BENCH),--bench $(BENCH))

bench-hand: dev check-system .venv-train/.train ## forms filled in by hand, 13 hands: is each field's place found, is nothing sure
	$(PY) -m tests.bench.hand
	$(PY) -m tests.bench.hand --unseen

bench-files: dev check-system ## kinds of files from public bug reports: what is expected of each and what became of it
	@$(NEEDED_BY_TESTS)
	$(PY) -m tests.bench.files

bench-sign: dev ## signatures a second against plain pyHanko, memory of a file of 300 MB
	$(PY) -m tests.bench.sign

bench-desk: dev check-system ## how soon an officer's page of ten images is ready, on the running stack
	@$(NEEDED_BY_TESTS)
	$(PY) -m tests.bench.desk

bench-many: dev check-system ## 100,000 filed and 1,000 waiting dossiers in the tables: each view's answer, a new dossier's cost, against empty ones
	$(PY) -m tests.bench.many

BENCHED := ocrmypdf tesseract-ocr-vie
bench-pipeline: dev check-system ## processor seconds a dossier and a page by part, against OCRmyPDF + Tesseract; AGAINST=commit: and an earlier one
	@{ command -v ocrmypdf && tesseract --list-langs 2>/dev/null | grep -qx vie; } >/dev/null \
	  || { test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -y -qq --no-install-recommends $(BENCHED) >/dev/null 2>&1; } \
	  || { echo "OCRmyPDF is missing: apt-get install $(BENCHED)"; exit 1; }
	$(PY) -m tests.bench.pipeline $(if $(AGAINST),--against $(AGAINST))

geometry-report: dev ## both signatures on pages of every geometry, as pictures
	$(PY) -m tests.bench.geometry

calibrate: dev check-system ## measure anew what confidences mean, after a new recogniser
	$(PY) -m tests.bench.calibrate

MINUTES_OF_FUZZ ?= 10
fuzz: dev ## damaged files against the intake's checks and the verifier, for MINUTES_OF_FUZZ
	$(PY) -m tests.fuzz --minutes $(MINUTES_OF_FUZZ)

docs-data: dev ## make docs/rules.md and docs/errors.md anew from the code
	$(PY) -m tests.reference

docs: dev ## the documentation site, in var/site; a link or anchor that leads nowhere stops it
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build -q

diagrams: dev ## draw the site's diagrams anew: MERMAID=…/mermaid.min.js (npm pack mermaid)
	$(PY) -m tests.reference.diagrams $(MERMAID)

release: dev ## the wheel, its lock, its bill of materials (CycloneDX) and their SHA-256, in dist/
	@rm -rf dist build
	@.venv/bin/uv build -q --wheel --out-dir dist .
	@cp requirements/base.txt dist/
	@$(PY) -m infra.release.sbom dist/sohoa.cdx.json
	@rm -f dist/.gitignore && cd dist && sha256sum * > SHA256SUMS && cat SHA256SUMS

.venv-train/.train: requirements/train.txt | .venv-train/bin/python
	@.venv-train/bin/python -m pip install -q --disable-pip-version-check --no-deps --require-hashes -r requirements/train.txt
	@touch $@

MINUTES ?= 120
RESUME ?= blocks/ocr/models/sohoa-rec/checkpoint.pt
train-ocr: .venv-train/.train ## train the recogniser on (MINUTES=120), or anew (RESUME=), and export it
	nice -n 19 .venv-train/bin/python -m infra.training train --minutes $(MINUTES) $(if $(RESUME),--resume $(RESUME))
	.venv-train/bin/python -m infra.training export

train-digits: .venv-train/.train ## train the reader of handwritten digits for MINUTES of the processor, export and measure it
	OMP_NUM_THREADS=1 nice -n 19 .venv-train/bin/python -m infra.training.digits train --minutes $(MINUTES)

test-train: .venv-train/.train ## what `make test` skips without torch and Paddle: training, export, the Paddle form
	.venv-train/bin/python -m pytest -q -p no:cacheprovider --confcutdir=tests/infra/training \
	  tests/infra/training/test_train.py tests/infra/training/test_paddle_form.py tests/infra/training/test_digits.py

# One lock for every Python that pyproject.toml names. What all lines have in common (Linux on x86_64) is cut out
# of them: a machine of another kind is told that there is no wheel rather than left with nothing installed.
COMPILE := .venv/bin/uv pip compile -q --generate-hashes --no-emit-index-url --no-emit-find-links --python-version 3.11 \
  --custom-compile-command "make lock"
HERE := implementation_name == 'cpython' and platform_machine == 'x86_64' and platform_python_implementation == 'CPython' and sys_platform == 'linux'
# Training's torch is the CPU build, which only the wheels at hand have, for Python 3.11: without them its lock file
# stays and make says so.
lock: dev ## renew the lock files from pyproject.toml (UPGRADE="--upgrade-package NAME" takes a newer one)
	@$(COMPILE) --universal $(UPGRADE) pyproject.toml -o requirements/base.txt
	@$(COMPILE) --universal $(UPGRADE) pyproject.toml --extra dev -c requirements/base.txt -o requirements/dev.txt
	@$(COMPILE) --universal $(UPGRADE) --group install -o requirements/uv.txt
	@sed -i "s/ ; python_full_version < '3.14' and $(HERE) / /; s/ and $(HERE) / /" requirements/base.txt requirements/dev.txt requirements/uv.txt
	@$(COMPILE) pyproject.toml --extra train -c requirements/base.txt $(addprefix --find-links ,$(PIP_FIND_LINKS)) -o requirements/train.txt

help:
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort

.PHONY: setup dev up down status demo password check-system check test .units .journeys coverage test-all attack journeys screenshots bench-ocr bench-extraction bench-hand bench-files calibrate bench-sign bench-desk bench-many geometry-report fuzz docs-data docs diagrams release train-ocr train-digits test-train lock help
