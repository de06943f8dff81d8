# python.py - the same workloads with Python's sqlite3: python.py WORKLOAD SECONDS.
#
# One thread, one connection, one transaction for each insert: what an app has that calls SQLite
# directly. What has no counterpart there prints nothing.

import os
import sqlite3
import sys
import tempfile
import time

ROWS = 1000
TEXT = "x" * 100
INSERT = "insert into t (a, b) values (?, ?)"


def rate(seconds, call):
    done, started = 0, time.monotonic()
    while time.monotonic() < started + seconds:
        call(done % ROWS + 1)
        done += 1
    return done / (time.monotonic() - started)


def measure(db, workload, seconds):
    if workload == "single":
        return rate(seconds, lambda i: db.execute(INSERT, (i, TEXT)))
    if workload == "lookups":
        db.executemany(INSERT, [(i + 1, TEXT) for i in range(ROWS)])
        return rate(seconds, lambda i: db.execute("select * from t where id = ?", (i,)).fetchone())
    return None


def main(workload, seconds):
    with tempfile.TemporaryDirectory() as directory:
        db = sqlite3.connect(os.path.join(directory, "bench.db"), isolation_level=None)
        db.execute("pragma journal_mode = wal")
        db.execute("pragma synchronous = full")
        db.execute("create table t (id integer primary key, a integer, b text)")
        figure = measure(db, workload, seconds)
        if figure is not None:
            print(f"{workload} {figure:.3f}")
        db.close()


main(sys.argv[1], float(sys.argv[2]))
