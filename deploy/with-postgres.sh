#!/usr/bin/env bash
# Runs a command beside a throwaway PostgreSQL: DATABASE_URL says where it is and who may set it up. It listens on this
# machine only, keeps its data in a temporary directory, and is gone when the command ends.
#   deploy/with-postgres.sh locule serve --dev --layout rls
set -euo pipefail

if [ $# -eq 0 ]; then
    echo "Say what to run beside the database: $0 COMMAND [ARGUMENT…]" >&2
    exit 2
fi

programs=""
for folder in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /nowhere/initdb)")"; do
    if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ] && [ -x "$folder/pg_isready" ]; then
        programs=$folder
        break
    fi
done
if [ -z "$programs" ]; then
    echo "There is no PostgreSQL on this machine: install it, or let .ci/services do so." >&2
    exit 1
fi

# PostgreSQL does not run as root.
as=()
if [ "$(id -u)" -eq 0 ]; then
    account=$(id -un postgres 2>/dev/null || echo nobody)
    as=(setpriv --reuid "$account" --regid "$(id -gn "$account")" --clear-groups)
fi

place=$(mktemp -d "${TMPDIR:-/tmp}/locule-postgres-XXXXXX")
server=""
finish() {
    status=$?
    trap - EXIT INT TERM
    if [ -n "$server" ]; then kill -INT "$server" 2>/dev/null && wait "$server" 2>/dev/null || true; fi
    rm -rf "$place"
    exit "$status"
}
trap finish EXIT
# Ctrl-C reaches the command as well, which stops by itself; then it is our turn.
trap : INT TERM

password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
printf '%s\n' "$password" > "$place/password"
if [ ${#as[@]} -gt 0 ]; then chown -R "$account" "$place"; fi
"${as[@]}" "$programs/initdb" --pgdata "$place/data" --username postgres --pwfile "$place/password" --no-sync \
    --auth scram-sha-256 --encoding UTF8 --locale C > "$place/initdb.log" 2>&1 || { cat "$place/initdb.log" >&2; exit 1; }

for attempt in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 20000))
    (cd "$place" && exec setsid "${as[@]}" "$programs/postgres" -D "$place/data" -p "$port" -k "$place" -c listen_addresses=127.0.0.1) \
        > "$place/server.log" 2>&1 &
    server=$!
    for _ in $(seq 100); do
        if "$programs/pg_isready" --quiet --host 127.0.0.1 --port "$port"; then break 2; fi
        if ! kill -0 "$server" 2>/dev/null; then break; fi
        sleep 0.1
    done
    kill "$server" 2>/dev/null || true
    server=""
done
if [ -z "$server" ]; then cat "$place/server.log" >&2; exit 1; fi

export DATABASE_URL="postgres://postgres:$password@127.0.0.1:$port/postgres"
echo "A throwaway PostgreSQL listens on 127.0.0.1:$port; it is gone when this ends." >&2
"$@" &
command=$!
status=0
wait "$command" || status=$?
# A signal ends the waiting, not the command: it has the time to stop.
while kill -0 "$command" 2>/dev/null; do
    kill -TERM "$command" 2>/dev/null || true
    wait "$command" || status=$?
done
exit "$status"
