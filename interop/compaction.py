"""Compaction: delta-rs and DuckDB read the same rows before and after, old versions too, and delta-rs's own writes of the same files come
out right beside it.

usage: compaction.py ZEROBUS_BINARY OUT_DIR

Starts a server of its own on OUT_DIR/compaction. Small files come from zerobus ingest, one a run, and from delta-rs; `zerobus table
optimize` rewrites them with a server and without one, while delta-rs appends, deletes rows and compacts. One table is left to the server.
"""

import collections
import json
import os
import subprocess
import sys
import threading
import time

import deltalake
import deltalake.exceptions
import duckdb
import pyarrow

from serving import Server

BINARY, OUT = sys.argv[1], sys.argv[2] + "/compaction"
DATA = OUT + "/data"
FILES, ROWS = 12, 25  # of a table
COLUMNS = ("id BIGINT NOT NULL, k STRING, price DECIMAL(20,3), at TIMESTAMP, clock TIMESTAMP_NTZ, day DATE, x DOUBLE, small SMALLINT, ok BOOLEAN, text STRING, "
           "tags ARRAY<STRING>, s STRUCT<q: INT, r: STRING>, m MAP<STRING, BIGINT>")
FAULTS = []


def tool(*args, status=0, **more):
    done = subprocess.run([BINARY, *args, "--data", DATA], capture_output=True, text=True, **more)
    if done.returncode != status:
        raise RuntimeError(f"zerobus {' '.join(args)}: status {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout


def check(reader, what, table, number, fault):
    print(f"{reader:9} {what:38} {table:12} {number:5}  {'ok' if not fault else 'FAULT ' + str(fault)[:1500]}", flush=True)
    if fault:
        FAULTS.append(f"{reader} {what} {table}")


def record(i):
    null = i % 7 == 3
    return {
        "id": i, "k": ["a", "b c/%", None][i % 3], "price": None if null else f"{(-1) ** i * i * 1001 / 1000:.3f}", "at": 1_700_000_000_000_000 + i * 1_000_003,
        "clock": None if null else -i * 86_400_000_001, "day": i * 100 - 5000, "x": None if null else i / 3 - 7, "small": None if null else i % 30000 - 100,
        "ok": [True, False, None][i % 3], "text": ["", "größe €🎈", None, "long" * 30][i % 4], "tags": [None, [], ["x", None], ["y"] * 5][i % 4],
        "s": None if null else {"q": i, "r": None if i % 2 else "r"}, "m": [None, {}, {"a": i, "b": -1}][i % 3],
    }


def rows(root, version=None):
    """The rows of a version, by delta-rs; with its query engine, which passes over files by their statistics."""
    t = deltalake.DeltaTable(root, version=version)
    query = deltalake.QueryBuilder().register("t", t).execute("SELECT * FROM t")
    return collections.Counter(repr(sorted((k, str(v)) for k, v in r.items())) for r in pyarrow.table(query).to_pylist())


def by_duckdb(root):
    """Rows, sums and nulls of the data files of the latest version."""
    files = deltalake.DeltaTable(root).file_uris()
    return duckdb.connect().execute(
        "SELECT count(*), sum(id), sum(price), epoch_us(min(\"at\")), epoch_us(max(clock)), max(x), count(text), sum(len(tags)), sum(s.q), count(m), bit_xor(hash(id, price, \"at\", x, text, tags, s, m))"
        " FROM read_parquet(?, hive_partitioning = false)", [files]).fetchall()


def difference(got, want):
    return None if got == want else f"{(want - got).total()} missing {list((want - got))[:2]}, {(got - want).total()} extra {list(got - want)[:2]}"


def location(name):
    return json.loads(tool("table", "describe", "main.default." + name, "--json"))["location"]


class Loader:
    """Loads rows into a table, one file at a time."""

    def __init__(self, server):
        lines = dict(line.split()[:2] for line in open(server.out + "/serve.out"))
        creds = json.loads(tool("principal", "create", "loader", "--json"))
        tool("sql", "GRANT USE CATALOG ON CATALOG main TO loader; GRANT USE SCHEMA ON SCHEMA main.default TO loader")
        self.env = {**os.environ, "ZEROBUS_SERVER_ENDPOINT": lines["streams"], "DATABRICKS_WORKSPACE_URL": lines["http"],
                    "DATABRICKS_CLIENT_ID": creds["client_id"], "DATABRICKS_CLIENT_SECRET": creds["client_secret"]}

    def create(self, name, more=""):
        table = "main.default." + name
        tool("sql", f"CREATE TABLE {table} ({COLUMNS}){more}; GRANT SELECT, MODIFY ON TABLE {table} TO loader")
        return location(name)

    def file(self, name, first, n=ROWS):
        table = "main.default." + name
        text = "\n".join(json.dumps(record(i)) for i in range(first, first + n))
        tool("ingest", "--table", table, "-", input=text, env=self.env)
        tool("table", "head", table, "-n", "0")  # commits what is durable

    def fill(self, name, files=FILES):
        for i in range(files):
            self.file(name, i * ROWS)


def optimize(name, *args):
    return json.loads(tool("table", "optimize", "main.default." + name, "--json", *args))


def same_rows(name, root, before, by_duck, versions, files):
    """The table has what it had, in fewer files, and all versions can be read."""
    t = deltalake.DeltaTable(root)
    check("delta-rs", "rows after it", name, sum(before.values()), difference(rows(root), before))
    check("DuckDB", "rows after it", name, by_duck[0][0], None if by_duckdb(root) == by_duck else f"{by_duckdb(root)}, was {by_duck}")
    check("delta-rs", "files after it", name, len(t.file_uris()), None if len(t.file_uris()) == files else f"want {files}")
    last = t.history(1)[0]
    check("delta-rs", "history", name, t.version(), None if last["operation"] == "OPTIMIZE" else last)
    fault = None
    for version, want in versions.items():
        fault = fault or difference(rows(root, version), want) and f"version {version}: {difference(rows(root, version), want)}"
    check("delta-rs", "old versions", name, len(versions), fault)
    sound = tool("table", "check", "main.default." + name).splitlines()[-1]
    check("zerobus", "table check", name, t.version(), None if ": sound" in sound else sound)


def asked_for(load, name, more, files):
    root = load.create(name, more)
    load.fill(name)
    before, by_duck, version = rows(root), by_duckdb(root), deltalake.DeltaTable(root).version()
    versions = {v: rows(root, v) for v in (1, version // 2, version)}
    dry = optimize(name, "--dry-run")
    check("zerobus", "dry run", name, dry["files_removed"], None if rows(root) == before and dry["files"] == files and dry["version"] == version else dry)
    did = optimize(name)
    check("zerobus", "optimize", name, did["files_removed"], None if did["files"] == files and did["conflicts"] == did["files_left"] == 0 else did)
    same_rows(name, root, before, by_duck, versions, files)


def of_both(load):
    """Files of ours and of delta-rs in one table: its compaction reads ours, ours reads its files."""
    name = "both"
    root = load.create(name)
    load.fill(name, 4)
    some = deltalake.DeltaTable(root).to_pyarrow_table()
    for i in range(4):
        deltalake.write_deltalake(root, some.slice(i * ROWS, ROWS), mode="append")
    before, by_duck = rows(root), by_duckdb(root)
    versions = {deltalake.DeltaTable(root).version(): before}
    did = optimize(name)
    check("zerobus", "optimize of files of both", name, did["files_removed"], None if did["files_removed"] == 8 and did["files_left"] == 0 else did)
    same_rows(name, root, before, by_duck, versions, 1)
    load.file(name, FILES * ROWS)
    load.file(name, (FILES + 1) * ROWS)
    before = rows(root)
    deltalake.DeltaTable(root).optimize.compact()
    check("delta-rs", "its compaction of ours", name, len(deltalake.DeltaTable(root).file_uris()), difference(rows(root), before))
    load.file(name, (FILES + 2) * ROWS)
    more = rows(root)
    optimize(name)
    check("delta-rs", "ours of its", name, len(deltalake.DeltaTable(root).file_uris()), difference(rows(root), more))


def racing(load):
    """delta-rs deletes rows and appends while ours rewrites the same files, again and again. Whoever loses tries again."""
    name = "racing"
    root = load.create(name)
    load.fill(name, 6)
    want = rows(root)
    gone, faults, end = set(), [], threading.Event()
    lost = 0

    def delete():
        nonlocal lost
        for i in range(0, 6 * ROWS, 11):
            while True:
                try:
                    deltalake.DeltaTable(root).delete(f"id = {i}")
                    break
                except (deltalake.exceptions.CommitFailedError, deltalake.exceptions.DeltaError) as e:
                    if "onflict" not in str(e) and "ommit" not in str(e):
                        faults.append(e)
                        return
                    lost += 1
            gone.add(i)
        end.set()

    thread = threading.Thread(target=delete)
    before = {r: n for r, n in want.items()}
    thread.start()
    rounds = conflicts = rewritten = 0
    while not end.is_set() and thread.is_alive():
        load.file(name, (6 + rounds) * ROWS, 1)
        did = optimize(name)
        rounds, conflicts, rewritten = rounds + 1, conflicts + did["conflicts"], rewritten + did["files_removed"]
    thread.join()
    load.file(name, (6 + rounds) * ROWS, 1)  # all races may be lost; the last rewrite has nobody beside it
    rounds, rewritten = rounds + 1, rewritten + optimize(name)["files_removed"]
    t = deltalake.DeltaTable(root)
    ids = collections.Counter(t.to_pyarrow_table(columns=["id"])["id"].to_pylist())
    expected = collections.Counter(i for i in range(6 * ROWS) if i not in gone) + collections.Counter((6 + r) * ROWS for r in range(rounds))
    check("delta-rs", f"races: {conflicts} we lost, {lost} it lost", name, rounds, faults or (None if ids == expected else f"{expected - ids} missing, {ids - expected} extra"))
    left = collections.Counter({r: n for r, n in before.items() if int(r.split("('id', '")[1].split("'")[0]) not in gone})
    check("delta-rs", "rows that nobody deleted", name, left.total(), None if not left - rows(root) else left - rows(root))
    check("zerobus", "files rewritten in the races and after", name, rewritten, None if rewritten else "none")
    sound = tool("table", "check", "main.default." + name).splitlines()[-1]
    check("zerobus", "table check", name, t.version(), None if ": sound" in sound else sound)


def main():
    os.makedirs(OUT)
    with Server(BINARY, OUT, "200ms", "--compaction-min-files", "8") as server:
        load = Loader(server)
        left_alone = load.create("background")
        load.fill("background")
        begun = time.monotonic()
        before, by_duck = rows(left_alone), by_duckdb(left_alone)
        versions = {v: rows(left_alone, v) for v in (1, FILES // 2, FILES)}
        asked_for(load, "plain", "", 1)
        asked_for(load, "parted", " PARTITIONED BY (k)", 3)
        of_both(load)
        racing(load)
        while len(deltalake.DeltaTable(left_alone).file_uris()) == FILES and time.monotonic() < begun + 300:
            time.sleep(1)
        same_rows("background", left_alone, before, by_duck, versions, 1)
        load.create("alone")
        load.fill("alone", 4)
        complaints = [line for line in server.complaints() if "compact" in line or "rewritten" in line]
        check("zerobus", "warnings of compaction", "", len(complaints), complaints)
    root = location("alone")
    before, by_duck = rows(root), by_duckdb(root)
    versions = {deltalake.DeltaTable(root).version(): before}
    optimize("alone", "--target-size", "64MiB", "--min-files", "3")
    same_rows("alone", root, before, by_duck, versions, 1)
    print("compaction " + ("all ok" if not FAULTS else f"{len(FAULTS)} FAILED: {', '.join(FAULTS)}"))
    sys.stdout.flush()
    os._exit(1 if FAULTS else 0)  # threads of the libraries may still run, and abort the process on the usual way out


main()
