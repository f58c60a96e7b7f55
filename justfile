# Commands for development. `just` lists them; https://just.systems

_default:
    @just --list

# Install the project with everything needed for development
setup:
    python -m pip install -e '.[dev,docs]'

# One small test of each part, 10 seconds
test-quick:
    python -m pytest tests/test_tiny.py

# Tests without compiled kernels and processes, one minute
test-unit:
    python -m pytest -m unit -n auto

# All tests, ten minutes on two cores
test:
    python -m pytest -n auto

# Style, types and the order of imports
lint:
    ruff check .
    ruff format --check .
    mypy
    lint-imports

# Build the documentation into build/site; warnings are errors
docs:
    .ci/docs

# Wheel and sdist, checked and tried
package:
    .ci/package

# Training speed beside PyTorch on this machine (needs torch)
bench:
    python benchmarks/speed.py

# Everything that CI runs, from an empty folder
ci:
    .ci/run
