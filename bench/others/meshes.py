"""Measures a context mesh from Python: syntha's, or ours in its place.

    python meshes.py measure syntha        FOLDER [--database URL] >>figures
    python meshes.py measure locule.syntha FOLDER [--database URL] [--durability normal] >>figures
    python meshes.py table figures

Each is used as it ships, in a folder (or a database) of its own. One user's mesh: new keys and the same key are pushed one by one,
one key is read, all keys and all entries are listed, an agent changes what it follows; values have some 200 bytes and are for
every agent. Then the store is filled with so many entries, and a fresh process opens it and reads one. Last, so many users have
ten keys each, all open at once: at one path, and each at a path of their own. One line of JSON says what was seen.
"""

import argparse
import importlib
import json
import os
import resource
import sqlite3
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VALUE = {"text": "x" * 160, "number": 1}


def resident_mib():
    """What this process has in memory now. (The most it ever had would hold what it was forked from.)"""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def rate(seconds, step):
    """How often a step is done in a second, and how much processor time each takes here, in microseconds."""
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        step(count)
        count += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return {"per_second": round(count / wall, 1), "cpu_us": round(1e6 * cpu / count, 1)}


def opening(module, options):
    """A fresh process: how long it takes to open a mesh and have its first answer."""
    program = (
        "import sys, time, json, resource, importlib\n"
        "def resident(): return int(open('/proc/self/statm').read().split()[1]) * resource.getpagesize() / 2**20\n"
        "mesh_of = importlib.import_module(sys.argv[1]).ContextMesh\n"
        "before = resident()\n"
        "began, used = time.perf_counter(), time.process_time()\n"
        "mesh = mesh_of(**json.loads(sys.argv[2]))\n"
        "assert mesh.get('filled 0') is not None\n"
        "print(json.dumps({'ms': round(1e3 * (time.perf_counter() - began), 1),\n"
        "                  'cpu_ms': round(1e3 * (time.process_time() - used), 1),\n"
        "                  'more_mib': round(resident() - before, 1)}))\n"
    )
    return json.loads(subprocess.check_output([sys.executable, "-c", program, module, json.dumps(options)]))


def fill(module, mesh, options, entries):
    """Has the store hold so many entries. Syntha's own pushes would take an hour, so its rows are put there by SQL."""
    if module == "syntha":
        mesh.close()
        now = time.time()
        rows = [(f"filled {number}", options["user_id"], json.dumps(VALUE), "[]", now) for number in range(entries)]
        columns = "INSERT INTO context_items (key, user_id, value, subscribers, created_at)"
        if "connection_string" in options:
            import psycopg2
            from psycopg2.extras import execute_values

            with psycopg2.connect(options["connection_string"]) as connection, connection.cursor() as cursor:
                execute_values(cursor, f"{columns} VALUES %s ON CONFLICT DO NOTHING", rows)
        else:
            with sqlite3.connect(options["db_path"]) as connection:
                connection.executemany(f"{columns.replace('INSERT', 'INSERT OR IGNORE')} VALUES (?, ?, ?, ?, ?)", rows)
    else:
        begin = mesh.size()
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(lambda number: mesh.push(f"filled {number}", VALUE), range(begin, entries)))
        mesh.close()


def of_one(module, options, seconds, sizes):
    """One user's mesh."""
    mesh_of = importlib.import_module(module).ContextMesh
    mesh, told = mesh_of(**options), {}
    told["push of a new key"] = rate(seconds, lambda number: mesh.push(f"new {number}", VALUE))
    told["push of the same key"] = rate(seconds, lambda number: mesh.push("same", VALUE))
    told["get"] = rate(seconds, lambda number: mesh.get("same", "agent"))
    told["subscribe"] = rate(seconds, lambda number: mesh.register_agent_topics("agent", [f"topic {number % 8}", "t"]))
    mesh.clear()
    for entries in sizes:
        fill(module, mesh, options, entries)
        told[f"open {entries:,}"] = opening(module, options)
        mesh = None
        if entries <= 10_000:
            mesh = mesh_of(**options)
            told[f"list {entries:,}"] = rate(seconds, lambda number: mesh.get_keys_for_agent("agent"))
            told[f"get all {entries:,}"] = rate(seconds, lambda number: mesh.get_all_for_agent("agent"))
        if entries <= 10_000 or module != "syntha":  # whose opening takes minutes then
            mesh = mesh or mesh_of(**options)
            told[f"push beside {entries:,}"] = rate(seconds, lambda number: mesh.push(f"beside {entries} {number}", VALUE))
        mesh = mesh or (mesh_of(**options) if entries != sizes[-1] else None)
    if mesh is not None:
        mesh.close()
    return told


def of_many(module, options, users):
    """Many users' meshes, all open at once; how far it comes if it does not come to the end. A `{}` in the path is each user's."""
    mesh_of = importlib.import_module(module).ContextMesh
    before = resident_mib()
    meshes, began, refused = [], time.perf_counter(), None
    for number in range(users):
        try:
            own = {"db_path": options["db_path"].format(number)} if "db_path" in options else {}
            mesh = mesh_of(**{**options, **own, "user_id": f"user{number}"})
        except Exception as error:
            refused = type(error).__name__
            break
        for key in range(10):
            mesh.push(f"key {key}", VALUE)
        meshes.append(mesh)
    seconds = time.perf_counter() - began
    told = {
        "users": len(meshes),
        "refused": refused,
        "per_second": round(len(meshes) / seconds, 1),
        "more_mib": round(resident_mib() - before, 1),
        "files_open": len(os.listdir("/proc/self/fd")),
    }
    for mesh in meshes:
        mesh.close()
    return told


def measure(given):
    told = {"module": given.module, "store": "PostgreSQL" if given.database else "SQLite", "durability": given.durability}
    options = {"user_id": "alice", "db_path": str(given.folder / "mesh.db")}
    if given.database:
        options = {"user_id": "alice", "db_backend": "postgresql", "connection_string": given.database}
        if given.module != "syntha":
            options.update(keys=str(given.folder / "keys"), isolation=given.isolation)
            told["store"] = f"PostgreSQL, {given.isolation}"
    if given.durability:
        options["durability"] = given.durability
    told.update(of_one(given.module, options, given.seconds, given.entries))
    paths = {"many users": "users.db", "many users, a path each": "user{}.db"}
    for what, path in {"many users": None}.items() if given.database else paths.items():
        if path is not None:
            options["db_path"] = str(given.folder / path)
        # In a process of its own, so that its memory is its own.
        command = [sys.executable, __file__, "many", given.module, json.dumps(options), str(given.users)]
        told[what] = json.loads(subprocess.check_output(command))
    print(json.dumps(told))


def table(given):
    """Beside each of syntha's figures ours, and how many times as much: of a rate more is better, of the others less."""
    lines = [json.loads(line) for line in given.figures.read_text().splitlines()]
    for base in (line for line in lines if line["module"] == "syntha"):
        ours = [line for line in lines if line["module"] != "syntha" and line["store"].startswith(base["store"])]
        heads = [f"{line['store']}{', ' + line['durability'] if line['durability'] else ''}" for line in ours]
        print(f"\n| {base['store']} | syntha | " + " | ".join(f"locule: {head}" for head in heads) + " |")
        print("|---" * (2 + len(ours)) + "|")
        for what, figure in base.items():
            if not isinstance(figure, dict):
                continue
            for unit in (unit for unit in ("per_second", "ms", "more_mib", "users", "files_open") if unit in figure):
                there = figure[unit]
                cells = [f"{line[what][unit]:,} ({line[what][unit] / there:.2g} ×)" if there else f"{line[what][unit]:,}" for line in ours]
                print(f"| {what}, {unit} | {there:,} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("measure", help="measure one of them; a line of JSON goes to stdout")
    one.add_argument("module", choices=["syntha", "locule.syntha"])
    one.add_argument("folder", type=Path, help="an empty folder on the disk that is meant")
    one.add_argument("--database", help="an empty database of a PostgreSQL, in place of SQLite")
    one.add_argument("--isolation", choices=["rls", "schema", "database"], default="schema", help="how ours keeps users apart there")
    one.add_argument("--seconds", type=float, default=3.0, help="how long each rate is taken for")
    one.add_argument("--entries", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    one.add_argument("--users", type=int, default=1_000)
    one.add_argument("--durability", choices=["full", "normal"])
    one.set_defaults(run=measure)
    many = commands.add_parser("many", help="many users at once (what measure runs in a process of its own)")
    many.add_argument("module")
    many.add_argument("options", type=json.loads)
    many.add_argument("users", type=int)
    many.set_defaults(run=lambda given: print(json.dumps(of_many(given.module, given.options, given.users))))
    shown = commands.add_parser("table", help="figures of several measurements beside each other")
    shown.add_argument("figures", type=Path)
    shown.set_defaults(run=table)
    given = parser.parse_args()
    given.run(given)


if __name__ == "__main__":
    main()
