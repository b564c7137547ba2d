"""Tables with in-commit timestamps and row tracking, which other engines have made: appended to by the server, read by delta-rs.

usage: timestamps.py ZEROBUS_BINARY OUT_DIR

Version 0 of most tables is written by hand, with the features in it, in place of the one that the server made, while it is down. Then
several senders load each table at once, over restarts of the server, with a checkpoint every few commits. Where delta-rs can write
the table, it does so meanwhile. What must hold is looked for in the log itself, by a replay in Python, and by `zerobus table check`;
delta-rs must find every row, the times of the history in order, and the same from the newest checkpoint alone.
"""

import collections
import json
import os
import sys
import threading
import time

import deltalake
import pyarrow
import pyarrow.parquet

import aged
from serving import Server
from tables import Tool, wait_until

BINARY, OUT = sys.argv[1], sys.argv[2] + "/timestamps"
SENDERS, COMMITS, INTERVAL = 3, 4, 5  # commits of a sender in a round, and between checkpoints
ROUNDS = 2
NOW = int(time.time() * 1000)
AHEAD = NOW + 3_600_000  # a writer's clock that is an hour ahead
TIMES = {"delta.enableInCommitTimestamps": "true"}
ROWS = {"delta.enableRowTracking": "true", "delta.rowTracking.materializedRowIdColumnName": "_row-id-1",
        "delta.rowTracking.materializedRowCommitVersionColumnName": "_row-commit-version-1"}
FAULTS = []


def check(what, got, want):
    if got != want:
        FAULTS.append(f"{what}: {str(got)[:500]}, want {str(want)[:500]}")


def domain(high):
    return {"domainMetadata": {"domain": "delta.rowTracking", "configuration": json.dumps({"rowIdHighWaterMark": high}), "removed": False}}


class Table(aged.Aged):
    """A table, and what was sent to it by several senders."""

    def __init__(self, tool, name, times=False, rows=False, first=0):
        super().__init__(tool, name, interval=INTERVAL)
        self.times, self.tracked, self.first = times, rows, first  # with row ids, from the first on
        self.lock, self.theirs, self.refused = threading.Lock(), 0, None

    def plant(self, features, properties, stamp=None, *more):
        """Writes version 0 anew, as another engine would have."""
        path = self.root + f"/_delta_log/{0:020}.json"
        meta = next(a["metaData"] for a in map(json.loads, open(path)) if "metaData" in a)
        meta["configuration"] |= properties
        info = {"timestamp": 1, "operation": "CREATE TABLE", "engineInfo": "by hand"} | ({"inCommitTimestamp": stamp} if stamp else {})
        protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": features}
        lines = [{"commitInfo": info}, {"protocol": protocol}, {"metaData": meta}, *more]
        with open(path, "w") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)

    def turn_on_times(self, stamp):
        """Writes version 1, which says that commits have a time from then on."""
        path = self.root + "/_delta_log/{:020}.json"
        meta = next(a["metaData"] for a in map(json.loads, open(path.format(0))) if "metaData" in a)
        meta["configuration"] |= TIMES | {"delta.inCommitTimestampEnablementVersion": "1", "delta.inCommitTimestampEnablementTimestamp": str(stamp)}
        with open(path.format(1), "w") as f:
            f.writelines(json.dumps(line) + "\n" for line in [{"commitInfo": {"timestamp": 1, "operation": "SET TBLPROPERTIES", "inCommitTimestamp": stamp}}, {"metaData": meta}])

    def load(self):
        """One sender's commits."""
        for _ in range(COMMITS):
            with self.lock:
                at, self.sent = self.sent, self.sent + aged.ROWS
            lines = [json.dumps(self.row(at + i)) for i in range(aged.ROWS)]
            self.tool("ingest", "--table", "main.default." + self.name, "-", input="\n".join(lines), env=self.env)

    def beside(self, stop):
        """delta-rs as another writer, until the end or its refusal."""
        while not stop.is_set() and self.refused is None:
            data = pyarrow.table({"id": pyarrow.array([-1 - self.theirs], pyarrow.int64()), "note": pyarrow.array(["theirs"]), "part": pyarrow.array(["a"])})
            try:
                deltalake.write_deltalake(self.root, data, mode="append", schema_mode="merge")
                self.theirs += 1
            except Exception as e:  # its errors have many types
                if "conflict" in str(e).lower() or "already exists" in str(e).lower():
                    continue
                self.refused = str(e).splitlines()[0]

    def want(self):
        rows = [tuple(self.row(i).values()) for i in range(self.sent)] + [(-1 - i, "theirs", "a") for i in range(self.theirs)]
        return collections.Counter(rows)

    def commits(self):
        return {int(os.path.basename(p)[:20]): [json.loads(line) for line in open(p)] for p in self.log("0*.json")}

    def replay(self):
        """What the log must keep to, in order of its versions."""
        before, high, ranges = None, self.first - 1, []
        on, features = False, []
        for version, actions in self.commits().items():
            for a in actions:
                if "metaData" in a:
                    on = a["metaData"]["configuration"].get("delta.enableInCommitTimestamps") == "true"
                if "protocol" in a:
                    features = a["protocol"].get("writerFeatures", [])
            stamp = actions[0].get("commitInfo", {}).get("inCommitTimestamp")
            if on and "inCommitTimestamp" in features:
                check(f"{self.name}: version {version} has a time", stamp is not None, True)
                check(f"{self.name}: version {version} at {stamp} is after {before}", before is None or stamp > before, True)
                before = stamp
            if "rowTracking" not in features:
                continue
            for a in actions:
                if "add" in a:
                    n = json.loads(a["add"]["stats"])["numRecords"]
                    base = a["add"]["baseRowId"]
                    check(f"{self.name}: version {version} gives ids from {base} on, after {high}", base > high, True)
                    check(f"{self.name}: version of the rows", a["add"]["defaultRowCommitVersion"], version)
                    ranges.append((base, base + n))
            marks = [json.loads(a["domainMetadata"]["configuration"])["rowIdHighWaterMark"] for a in actions if a.get("domainMetadata", {}).get("domain") == "delta.rowTracking"]
            high = max([high] + [end - 1 for _, end in ranges])
            if any("add" in a for a in actions):
                check(f"{self.name}: high water marks of version {version}", marks, [high])
        check(f"{self.name}: rows with ids", sum(b - a for a, b in ranges), self.sent + self.theirs if self.tracked else 0)
        ids = sorted(ranges)
        check(f"{self.name}: ranges of ids", all(a[1] <= b[0] for a, b in zip(ids, ids[1:])), True)
        return high

    def by_delta_rs(self, what):
        t = deltalake.DeltaTable(self.root)
        rows = collections.Counter((r["id"], r["note"], r["part"]) for r in t.to_pyarrow_table().to_pylist())
        check(f"{self.name}: rows {what}", rows, self.want())
        if not self.times:
            return
        # Its history is the log's, newest first.
        history = [(h["version"], h["inCommitTimestamp"] if "inCommitTimestamp" in h else h["timestamp"]) for h in t.history()]
        stamps = {v: a[0]["commitInfo"].get("inCommitTimestamp") for v, a in self.commits().items()}
        for version, at in history:
            if stamps.get(version) is not None:
                check(f"{self.name}: time of version {version} in the history", at, stamps[version])

    def from_the_checkpoint(self, high):
        """The newest checkpoint has the ids of rows and the mark, and stands for the commits before it."""
        newest = self.checkpoints()[-1]
        rows = pyarrow.parquet.read_table(f"{self.root}/_delta_log/{newest:020}.checkpoint.parquet").to_pylist()
        adds = {r["add"]["path"]: (r["add"]["baseRowId"], r["add"]["defaultRowCommitVersion"]) for r in rows if r["add"]}
        log = {}
        for a in (a for v, actions in self.commits().items() if v <= newest for a in actions):
            if "add" in a:
                log[a["add"]["path"]] = (a["add"].get("baseRowId"), a["add"].get("defaultRowCommitVersion"))
            if "remove" in a:
                del log[a["remove"]["path"]]
        check(f"{self.name}: ids of rows in the checkpoint", adds, log)
        marks = [r["domainMetadata"]["configuration"] for r in rows if r["domainMetadata"]]
        ends = [b + json.loads(r["add"]["stats"])["numRecords"] - 1 for r in rows if r["add"] for b in [r["add"]["baseRowId"]] if b is not None]
        check(f"{self.name}: mark in the checkpoint", [json.loads(m)["rowIdHighWaterMark"] for m in marks], [max(ends)] if self.tracked else [])
        for p in self.log("0*.json"):
            if int(os.path.basename(p)[:20]) < newest:
                os.remove(p)
        self.by_delta_rs("from the checkpoint")
        return newest


def serve():
    return Server(BINARY, OUT, commit_interval="20ms")


def loaded(tables):
    """All senders of all tables at once, beside delta-rs."""
    stop = threading.Event()
    theirs = [threading.Thread(target=t.beside, args=(stop,)) for t in tables]
    senders = [threading.Thread(target=t.load) for t in tables for _ in range(SENDERS)]
    for thread in theirs + senders:
        thread.start()
    for thread in senders:
        thread.join()
    stop.set()
    for thread in theirs:
        thread.join()


def main():
    os.makedirs(OUT)
    tool = Tool(BINARY, OUT)
    with serve():
        timed = Table(tool, "timed", times=True)
        later = Table(tool, "later", times=True)
        supported = Table(tool, "supported", rows=True)
        enabled = Table(tool, "enabled", rows=True, first=1000)
        both = Table(tool, "both_features", times=True, rows=True, first=0)
        ours = Table(tool, "ours", times=True)
    tables = [timed, later, supported, enabled, both, ours]
    timed.plant(["inCommitTimestamp"], TIMES, AHEAD)
    later.plant(["inCommitTimestamp"], {})
    later.turn_on_times(AHEAD)
    supported.plant(["rowTracking", "domainMetadata"], {})
    enabled.plant(["rowTracking", "domainMetadata"], ROWS, None, domain(999))
    both.plant(["inCommitTimestamp", "rowTracking", "domainMetadata", "appendOnly", "invariants"], TIMES | ROWS, AHEAD)
    for n in range(ROUNDS):
        with serve() as server:
            if n == 0:
                tool("sql", "ALTER TABLE main.default.ours SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')")
            loaded(tables)
            for t in tables:
                wait_until("a checkpoint of " + t.name, lambda: t.checkpoints() and t.checkpoints()[-1] > 0)
            check("complaints of the server", server.complaints(), [])
    commits = 0
    for t in tables:
        commits += t.version()
        high = t.replay()
        t.by_delta_rs("from all commits")
        tool("table", "check", "main.default." + t.name)
    for t in tables:
        t.from_the_checkpoint(high)
        tool("table", "check", "main.default." + t.name)
    # From a checkpoint that the log begins with, the server goes on after the time, and the ids, of its commit.
    with serve():
        loaded(tables)
    for t in tables:
        t.by_delta_rs("after going on from the checkpoint")
        tool("table", "check", "main.default." + t.name)
    for t in tables:
        print(f"timestamps  {t.name}: delta-rs " + (f"beside us wrote {t.theirs} times" if t.theirs else f"does not write it: {t.refused}"), flush=True)
    for f in FAULTS:
        print("FAULT     " + f)
    print(f"timestamps  delta-rs {deltalake.__version__}: {len(tables)} tables, {commits} versions, {sum(t.sent for t in tables)} rows, "
          + (f"{len(FAULTS)} FAILED" if FAULTS else "ok"), flush=True)
    os._exit(1 if FAULTS else 0)


if __name__ == "__main__":
    main()
