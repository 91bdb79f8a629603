"""Measures a context mesh from Python: syntha's, or ours in its place.

    python meshes.py syntha        FOLDER --seconds 3 --entries 10000
    python meshes.py locule.syntha FOLDER --seconds 3 --entries 10000 [--durability normal]

Each is used as it ships, in a folder of its own: one user, one SQLite file; items of some 200 bytes for every agent. New keys and
the same key are pushed one by one, one key is read, all keys are listed, an agent changes what it follows; then the store is filled
with so many entries and opened by a fresh process; and a thousand users have ten keys each. One JSON document goes to stdout.
"""

import argparse
import importlib
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

VALUE = {"text": "x" * 160, "number": 1}


def rate(seconds, step):
    """How often a step is done in a second, and how much processor time each takes, in microseconds."""
    count, began, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - began < seconds:
        step(count)
        count += 1
    wall, cpu = time.perf_counter() - began, time.process_time() - used
    return {"per_second": round(count / wall, 1), "cpu_us": round(1e6 * cpu / count, 1)}


def opening(module, options, key):
    """A fresh process: how long it takes from the import to the first answer."""
    program = (
        "import sys, time, json, resource, importlib\n"
        "mesh_of = importlib.import_module(sys.argv[1]).ContextMesh\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "began, used = time.perf_counter(), time.process_time()\n"
        "mesh = mesh_of(**json.loads(sys.argv[2]))\n"
        "assert mesh.get(sys.argv[3]) is not None\n"
        "print(json.dumps({'ms': round(1e3 * (time.perf_counter() - began), 1),\n"
        "                  'cpu_ms': round(1e3 * (time.process_time() - used), 1),\n"
        "                  'more_mib': round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1)}))\n"
    )
    return json.loads(subprocess.check_output([sys.executable, "-c", program, module, json.dumps(options), key]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module", choices=["syntha", "locule.syntha"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--users", type=int, default=1_000)
    parser.add_argument("--durability", choices=["full", "normal"])
    given = parser.parse_args()
    mesh_of = importlib.import_module(given.module).ContextMesh
    more = {"durability": given.durability} if given.durability else {}
    options = {"user_id": "alice", "db_path": str(given.folder / "mesh.db"), **more}
    told = {"module": given.module, "durability": given.durability}

    mesh = mesh_of(**options)
    told["push_new"] = rate(given.seconds, lambda number: mesh.push(f"new {number}", VALUE))
    told["push_same"] = rate(given.seconds, lambda number: mesh.push("same", VALUE))
    told["get"] = rate(given.seconds, lambda number: mesh.get("same", "agent"))
    told["subscribe"] = rate(given.seconds, lambda number: mesh.register_agent_topics("agent", [f"topic {number % 8}", "t"]))
    mesh.clear()
    mesh.push("same", VALUE)

    filled = 1
    for entries in (1_000, given.entries):
        for number in range(filled, entries):
            mesh.push(f"filled {number}", VALUE)
        filled = entries
        told[f"list_{entries}"] = rate(given.seconds, lambda number: mesh.get_keys_for_agent("agent"))
        told[f"open_{entries}"] = opening(given.module, options, "same")
    mesh.close()

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    meshes, began = [], time.perf_counter()
    for number in range(given.users):
        mesh = mesh_of(user_id=f"user{number}", db_path=str(given.folder / "users.db"), **more)
        for key in range(10):
            mesh.push(f"key {key}", VALUE)
        meshes.append(mesh)
    told["users"] = {
        "users": given.users,
        "seconds": round(time.perf_counter() - began, 1),
        "more_mib": round((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024, 1),
        "files_open": len(os.listdir("/proc/self/fd")),
    }
    for mesh in meshes:
        mesh.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
