#!/usr/bin/env bash
# Measures our context mesh beside syntha 0.2.7 from PyPI, in Python, in one run on this machine: a table of lines of JSON.
# Arguments go to both (bench/others/meshes.py --help).
set -euo pipefail
cd "$(dirname "$0")/.."

bash .ci/python wheel >&2
place=target/python/bench
rm -rf "$place"
python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check target/wheels/locule-*.whl syntha==0.2.7

measure() { # module, and more
    local folder
    folder=$(mktemp -d)
    "$place/bin/python" bench/others/meshes.py "$1" "$folder" "${@:2}"
    rm -rf "$folder"
}
measure syntha "$@"
measure locule.syntha "$@"
measure locule.syntha --durability normal "$@"
