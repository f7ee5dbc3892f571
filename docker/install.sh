#!/bin/bash
# Installs Python and the extras of pyproject.toml, in the exact versions of constraints.txt, into one folder.
#
#   install.sh FOLDER EXTRA[,EXTRA...] [PACKAGE-TO-LEAVE-OUT...]
#
# Run where pyproject.toml and constraints.txt lie. Reads PYTHON_VERSION. Where they lie beside them, cuda.in adds
# requirements and cuda-constraints.txt versions. uv checks Python's checksum. The folder works under any path and on
# any Linux with glibc 2.28 or later.
set -euo pipefail
folder=$1
IFS=, read -ra extras <<<"$2"
left_out=("${@:3}")

asked=(--constraints constraints.txt)
for extra in "${extras[@]}"; do asked+=(--extra "$extra"); done
for package in "${left_out[@]}"; do asked+=(--no-emit-package "$package"); done
if [ -f cuda-constraints.txt ]; then asked+=(--constraints cuda-constraints.txt); fi
if [ -f cuda.in ]; then asked+=(cuda.in); fi

if [ ! -x "$folder/bin/python3.11" ]; then
  uv python install "$PYTHON_VERSION"
  mv "$(uv python find --managed-python --resolve-links "$PYTHON_VERSION" | sed 's|/bin/python3.11$||')" "$folder"
fi
uv pip compile --quiet --python "$folder/bin/python3.11" --no-annotate --no-header --output-file requirements.txt \
  pyproject.toml "${asked[@]}"
uv pip install --python "$folder/bin/python3.11" --break-system-packages --no-deps --requirements requirements.txt
