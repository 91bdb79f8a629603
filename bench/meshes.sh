#!/usr/bin/env bash
# Measures our context mesh beside syntha 0.2.7 from PyPI, in Python, in one run on this machine: on SQLite, and on a throwaway
# PostgreSQL where there is one. Arguments go to each measurement (bench/others/meshes.py measure --help).
set -euo pipefail
cd "$(dirname "$0")/.."

bash .ci/python wheel >&2
place=target/python/bench
rm -rf "$place"
python3 -m venv "$place"
"$place/bin/pip" install --quiet --disable-pip-version-check target/wheels/locule-*.whl syntha==0.2.7 psycopg2-binary
python=$PWD/$place/bin/python

figures=$(mktemp)
trap 'rm -f "$figures"' EXIT
measure() { # module, and more
    local folder
    folder=$(mktemp -d)
    echo "measuring $* …" >&2
    "$python" bench/others/meshes.py measure "$1" "$folder" "${@:2}" >>"$figures"
    rm -rf "$folder"
}
measure_in_postgres() { # module, and more: in a server that is its own
    local folder
    folder=$(mktemp -d)
    echo "measuring $* on PostgreSQL …" >&2
    bash deploy/with-postgres.sh bash -c '"$0" bench/others/meshes.py measure "$2" "$1" --database "$DATABASE_URL" "${@:3}"' \
        "$python" "$folder" "$@" >>"$figures"
    rm -rf "$folder"
}

measure syntha "$@"
measure locule.syntha "$@"
measure locule.syntha "$@" --durability normal
if ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1; then
    measure_in_postgres syntha "$@"
    measure_in_postgres locule.syntha "$@" --isolation schema
    measure_in_postgres locule.syntha "$@" --isolation rls
else
    echo "there is no PostgreSQL here: SQLite alone is measured" >&2
fi
"$python" bench/others/meshes.py table "$figures"
