#!/usr/bin/env bash
# Measures Locule beside its neighbours, in one run on this machine. Arguments go to locule-bench (see --help).
# The neighbours are installed into bench/.venv from PyPI; without Python they are left out, and the table says so.
set -euo pipefail
cd "$(dirname "$0")/.."

echo "building (release) …" >&2
cargo build --release --locked -p locule-server -p locule-bench

figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
beside=()
if command -v python3 >/dev/null; then
    if [ ! -x bench/.venv/bin/python ]; then
        echo "installing the neighbours into bench/.venv …" >&2
        python3 -m venv bench/.venv
        bench/.venv/bin/pip install --quiet -r bench/others/requirements.txt
    fi
    echo "measuring the neighbours …" >&2
    bench/.venv/bin/python bench/others/neighbours.py --seconds 60 >"$figures"
    beside=(--neighbours "$figures")
    if mem0=$(bash compat/mem0/install target/compat-mem0); then
        beside+=(--mem0 "$mem0/python2/bin/python")
    else
        echo "mem0 is left out" >&2
    fi
else
    echo "no python3: the neighbours are left out" >&2
fi
target/release/locule-bench "${beside[@]}" "$@"
