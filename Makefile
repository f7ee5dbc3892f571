# The two commands of the README are `make demo` and `make test`; each sets up what it needs and nothing twice.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
PINS := constraints.txt
# Processes that share the tests out, file by file; each may start a Spark of its own, of 3 GB. Files go in their order:
# those with few and long tests, which would come last, leave one process waiting.
WORKERS ?= 2
# How often each job is killed and started again; CI asks for more.
KILLS ?= 4
# The other Spark that is promised, that of EMR 7, in an environment of its own.
SPARK35 := 3.5.9
VENV35 := .venv-spark35
# Spark's classes, which the tests' virtual machines share.
ARCHIVE := $(VENV)/spark-classes.jsa
SOURCES := feature_extraction training inference jobs

# Benchmarks that fill a page of docs/results, over hours; each goes on where it was stopped.
PAGES := tests/benchmarks/qast.py tests/benchmarks/importance.py tests/benchmarks/mgvae.py tests/benchmarks/imsic.py

.PHONY: demo test test-spark35 check kernels bench pages zip clean

demo: $(VENV)/.demo
	@$(BIN)/python -m jobs.demo $(ARGS)

test:
	@$(MAKE) --no-print-directory -j 2 check $(ARCHIVE) kernels
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --kills $(KILLS) $(ARGS)

test-spark35: $(VENV35)/.dev-$(SPARK35)
	@$(VENV35)/bin/python -m pytest -m spark $(ARGS)

check: $(VENV)/.dev
	@$(BIN)/ruff check . && $(BIN)/ruff format --check --quiet . && $(BIN)/mypy

bench: $(VENV)/.dev
	@for script in $(filter-out $(PAGES),$(wildcard tests/benchmarks/*.py)); do \
	  echo "== $$script"; $(BIN)/python $$script || exit 1; done

pages: $(VENV)/.dev
	@for script in $(PAGES); do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# What spark-submit ships to the executors: --py-files scarce.zip
zip:
	@git archive --format=zip -o scarce.zip HEAD $(SOURCES)

clean:
	rm -rf $(VENV) $(VENV35) out .pytest_cache .mypy_cache .ruff_cache .hypothesis scarce.zip build *.egg-info

# A stamp a set of packages: made again only when the pins change.
$(VENV)/.demo: pyproject.toml constraints.txt | java
	@$(MAKE) --no-print-directory install EXTRAS=spark,keras,demo STAMP=$@

$(VENV)/.dev: pyproject.toml constraints.txt | java
	@$(MAKE) --no-print-directory install EXTRAS=spark,keras,torch,demo,dev STAMP=$@

$(ARCHIVE): $(VENV)/.dev
	@$(BIN)/python -m tests.class_archive

# Those that the demo has no use for too; each of the tests' processes would compile them for itself.
kernels: $(VENV)/.dev
	@$(BIN)/python -m feature_extraction.compile_kernels

# The same pins, but for Spark's.
$(VENV35)/.dev-$(SPARK35): pyproject.toml constraints.txt | java
	@mkdir -p $(VENV35)
	@{ grep -v '^pyspark==' constraints.txt; echo 'pyspark==$(SPARK35)'; } > $(VENV35)/constraints.txt
	@$(MAKE) --no-print-directory install VENV=$(VENV35) PINS=$(VENV35)/constraints.txt EXTRAS=spark,keras,torch,demo,dev STAMP=$@

.PHONY: install java
install:
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing $(EXTRAS) into $(VENV): two minutes, once"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c $(PINS) -e ".[$(EXTRAS)]"
	@$(BIN)/python -m feature_extraction.compile_kernels --seasonality additive
	@touch $(STAMP)

java:
	@java="$${JAVA_HOME:+$$JAVA_HOME/bin/}java"; "$$java" -version 2>&1 | grep -q 'version "\(17\|21\)' || { \
	  echo "Spark needs Java 17 and found: $$("$$java" -version 2>&1 | head -n 1). On Debian or Ubuntu: apt-get install openjdk-17-jre-headless"; \
	  exit 1; }
