"""Our checkpoints for delta-rs, and those of delta-rs for our server, each with the commits before deleted.

usage: checkpoints.py ZEROBUS_BINARY OUT_DIR

A table gets many small commits by the tool. What delta-rs finds in it must be the same from the commits alone and from a checkpoint
with the commits after it: rows, version, transactions, files with their statistics and partition values. The server starts
and ends several times in between, and goes on from where delta-rs left the log.
"""

import collections
import json
import os
import shutil
import sys
import time

import deltalake
import pyarrow.parquet

import aged
from serving import Server
from tables import Tool, wait_until

BINARY, OUT = sys.argv[1], sys.argv[2] + "/checkpoints"
INTERVAL = 4  # of checkpoints
FAULTS = []


def check(what, got, want):
    if got != want:
        FAULTS.append(f"{what}: {str(got)[:500]}, want {str(want)[:500]}")


class Table(aged.Aged):
    """The table, as delta-rs has it."""

    def state(self):
        """What delta-rs finds."""
        t = deltalake.DeltaTable(self.root)
        apps = sorted({a["txn"]["appId"] for p in self.log("0*.json") for a in map(json.loads, open(p)) if "txn" in a})
        files = pyarrow.table(t.get_add_actions(flatten=True)).to_pylist()
        rows = collections.Counter((r["id"], r["note"], r["part"]) for r in t.to_pyarrow_table().to_pylist())
        return {"version": t.version(), "transactions": {a: t.transaction_version(a) for a in apps}, "rows": rows, "protocol": tuple(t.protocol()),
                "files": sorted((sorted((k, str(v)) for k, v in f.items()) for f in files))}

    def whole(self, what):
        """Every row that was sent is there, once."""
        check(what + ": rows", self.state()["rows"], collections.Counter(self.rows()))


def serve():
    return Server(BINARY, OUT, commit_interval="50ms")


def long_ago(paths, days=60):
    for p in paths:
        os.utime(p, (time.time() - days * 86400,) * 2)


def ours_for_delta_rs(table):
    """delta-rs reads our checkpoint in place of the commits before it."""
    with serve():
        table.send(2 * INTERVAL + 2)
        wait_until("a checkpoint", lambda: table.checkpoints() and os.path.exists(table.root + "/_delta_log/_last_checkpoint"))
    table.whole("before")
    found, whole = table.checkpoints(), table.state()
    newest = found[-1]
    for version in found:
        path = f"{table.root}/_delta_log/{version:020}.checkpoint.parquet"
        actions = pyarrow.parquet.read_table(path)
        check("columns", actions.schema.names, ["txn", "add", "remove", "metaData", "protocol", "domainMetadata"])
        hint = json.load(open(table.root + "/_delta_log/_last_checkpoint"))
        if version == hint["version"]:
            check("hint", (hint["size"], hint["sizeInBytes"]), (actions.num_rows, os.path.getsize(path)))
    copy = table.root + ".whole"
    shutil.copytree(table.root, copy)
    for p in table.log("0*.json"):
        if int(os.path.basename(p)[:20]) < newest:
            os.remove(p)
    check("from our checkpoint", table.state(), whole)
    os.remove(table.root + "/_delta_log/_last_checkpoint")
    check("from our checkpoint without a hint", table.state(), whole)
    old = deltalake.DeltaTable(copy)
    for version in range(newest, old.version() + 1):
        old.load_as_version(version)
        check(f"at version {version}", deltalake.DeltaTable(table.root, version=version).to_pyarrow_table().num_rows, old.to_pyarrow_table().num_rows)
    shutil.rmtree(copy)
    return len(found)


def theirs_for_us(table):
    """The server goes on from a checkpoint of delta-rs, which has cleaned the log."""
    t = deltalake.DeltaTable(table.root)
    t.create_checkpoint()
    before = table.state()
    long_ago(table.log("0*.json") + [p for p in table.log("*.checkpoint.parquet") if f"{t.version():020}" not in p])
    deltalake.DeltaTable(table.root).cleanup_metadata()
    check("after delta-rs has cleaned", table.state()["rows"], before["rows"])
    left = [int(os.path.basename(p)[:20]) for p in table.log("0*.json")]
    for p in table.log("*.checkpoint.parquet"):  # so that only theirs can be read
        if f"{t.version():020}" not in p:
            os.remove(p)
    for p in table.log("0*.json"):
        if int(os.path.basename(p)[:20]) < t.version():
            os.remove(p)
    table.whole("from their checkpoint")
    with serve() as server:
        table.send(2)
        complaints = server.complaints()
    check("complaints of the server", complaints, [])
    table.whole("after more commits")
    return left


def ours_cleaned(table):
    """The server cleans the log itself."""
    old = table.log("0*.json")
    with serve():
        table.send(INTERVAL)
        wait_until("a checkpoint", lambda: table.checkpoints()[-1] >= table.version() - INTERVAL)
    long_ago(table.log("0*"))
    with serve():
        table.send(INTERVAL + 1)
        wait_until("the clean-up", lambda: not any(os.path.exists(p) for p in old))
    table.whole("after our clean-up")
    first = int(os.path.basename(table.log("0*.json")[0])[:20])
    check("the oldest version has a checkpoint", first in table.checkpoints(), True)


def main():
    os.makedirs(OUT)
    with serve():
        table = Table(Tool(BINARY, OUT), interval=INTERVAL)
    n = ours_for_delta_rs(table)
    theirs_for_us(table)
    ours_cleaned(table)
    for f in FAULTS:
        print("FAULT     " + f)
    print(f"checkpoints  delta-rs {deltalake.__version__}: {n} of ours read, one of theirs gone on from, log cleaned by both; {table.sent} rows, "
          + (f"{len(FAULTS)} FAILED" if FAULTS else "ok"), flush=True)
    os._exit(1 if FAULTS else 0)


if __name__ == "__main__":
    main()
