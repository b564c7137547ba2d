"""Tables with in-commit timestamps and row tracking that Spark and the server write in turn and at once.

Spark turns the features on in tables that have commits of the server, or the server does. Then both commit. The times of commits
grow, DESCRIBE HISTORY has them, and a moment finds the version of that moment; row ids are unique, stay with their rows through
UPDATE and OPTIMIZE, and are the same from the server's checkpoint alone.
"""

import collections
import datetime
import json
import os
import threading

import aged
import serving
import session
import tables

CONFLICTS = ("DELTA_CONCURRENT", "ConcurrentAppendException", "ConcurrentModificationException", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")


class Table(aged.Aged):
    """A table of the server, as Spark has it."""

    def __init__(self, spark, tool, name, report):
        super().__init__(tool, name, interval=3)
        self.spark, self.report, self.inserted = spark, report, []

    def sql(self, statement):
        """Runs a statement, again when a commit of the server was in its way."""
        while True:
            self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            try:
                return self.spark.sql(statement.replace("TABLE!", f"delta.`{self.root}`"))
            except Exception as e:
                if not any(c in str(e) for c in CONFLICTS):
                    raise

    def insert(self, n=1):
        for _ in range(n):
            row = (1_000_000 + len(self.inserted), "spark", "a")
            self.sql("INSERT INTO TABLE! VALUES ({}, '{}', '{}')".format(*row))
            self.inserted.append(row)

    def note(self, check, rows, fault=None):
        self.report.note("Spark/Delta", self.spark.version + "/" + session.DELTA, check, self.name, rows, fault)

    def commits(self):
        return {int(os.path.basename(p)[:20]): [json.loads(line) for line in open(p)] for p in self.log("0*.json")}

    def whole(self, check):
        """Every row is there once, whoever wrote it; notes may have been changed."""
        got = [r.id for r in self.sql("SELECT id FROM TABLE!").collect()]
        self.note(check, len(got), tables.difference(map(repr, got), [repr(r[0]) for r in self.rows() + self.inserted]))
        self.tool("table", "check", "main.default." + self.name)

    def keep(self):
        """Deletes what readers do not need to begin with the newest checkpoint of the server."""
        newest = self.checkpoints()[-1]
        for path in self.log("0*"):
            name = os.path.basename(path)
            if int(name[:20]) < newest or name.endswith(".crc") and int(name[:20]) == newest:
                os.remove(path)

    def checkpointed(self, version):
        """Waits for a checkpoint of the version or a later one, and for the hint that names it."""
        def there():
            try:
                return json.load(open(self.root + "/_delta_log/_last_checkpoint"))["version"] >= version
            except (FileNotFoundError, ValueError):
                return False
        tables.wait_until("a checkpoint of " + self.name, there)

    # In-commit timestamps.

    def times(self, check, before=0):
        """The times of the log, in Spark's history and as moments. before is the rows of the checkpoint that the log begins with."""
        stamps = {v: a[0].get("commitInfo", {}).get("inCommitTimestamp") for v, a in self.commits().items()}
        stamps = {v: s for v, s in stamps.items() if s is not None}
        faults = [f"version {a} at {stamps[a]}, {b} at {stamps[b]}" for a, b in zip(stamps, list(stamps)[1:]) if stamps[a] >= stamps[b] or b != a + 1]
        epoch = datetime.datetime.fromtimestamp(0)
        for r in self.sql("DESCRIBE HISTORY TABLE!").collect():
            at = (r.timestamp - epoch) // datetime.timedelta(milliseconds=1)
            if r.version in stamps and at != stamps[r.version]:
                faults.append(f"the history has version {r.version} at {at}, the log at {stamps[r.version]}")
        rows = 0
        for version, actions in self.commits().items():  # none of which deletes rows
            rows += sum(json.loads(a["add"]["stats"])["numRecords"] for a in actions if "add" in a and a["add"]["dataChange"])
            stamp = stamps.get(version)
            if stamp is None or version % 3 and version < self.version():
                continue
            at = datetime.datetime.fromtimestamp(stamp / 1000, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S.%f")
            got = self.sql(f"SELECT count(*) AS n FROM TABLE! TIMESTAMP AS OF '{at}'").collect()[0].n
            if got != rows + before:
                faults.append(f"{got} rows as of {at}, version {version} has {rows + before}")
        self.note(check, len(stamps), "; ".join(faults[:3]))

    # Row tracking.

    def ids(self, check):
        """The id and the version of each row, by the row's own id."""
        rows = self.sql("SELECT id, _metadata.row_id AS row, _metadata.row_commit_version AS version FROM TABLE!").collect()
        faults = [f"row {r.id} has no row id or version" for r in rows if r.row is None or r.version is None]
        for row, n in collections.Counter(r.row for r in rows).items():
            if n > 1:
                faults.append(f"row id {row} is there {n} times")
        self.note(check, len(rows), "; ".join(faults[:3]))
        return {r.id: (r.row, r.version) for r in rows}

    def same(self, check, before, after, but=lambda id: False):
        """Rows have the ids that they had, and the versions, unless they were changed."""
        faults = [f"row {i} was {was}, is {after.get(i)}" for i, was in before.items()
                  if after.get(i, (None,))[0] != was[0] or not but(i) and after[i] != was]
        self.note(check, len(before), "; ".join(faults[:3]))

    def beside(self, statements):
        """Spark's statements while the server commits."""
        sender = threading.Thread(target=self.send, args=(5,))
        sender.start()
        while sender.is_alive():
            for s in statements:
                s()
        sender.join()


def timed(spark, serve, tool, report, name, enable):
    with serve():
        t = Table(spark, tool, name, report)
        t.send(2)
        enable(t)
        t.send(3)
        t.insert(2)
        t.send(2)
        t.beside([t.insert])
        t.send(4)
        t.checkpointed(9)
    t.times("times of commits")
    t.whole("rows with times")
    t.keep()
    t.whole("rows with times, from the server's checkpoint")
    newest = t.checkpoints()[-1]
    before = t.sql(f"SELECT count(*) AS n FROM TABLE! VERSION AS OF {newest}").collect()[0].n
    before -= sum(json.loads(a["add"]["stats"])["numRecords"] for a in t.commits()[newest] if "add" in a)  # its commit is still there
    with serve():
        t.send(2)
    t.insert()
    t.times("times of commits after a restart on a checkpoint", before)
    t.whole("rows with times, after a restart")


def tracked(spark, serve, tool, report):
    with serve():
        t = Table(spark, tool, "tracked_by_spark", report)
        t.send(3)
        t.sql("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.enableRowTracking' = 'true')")
        first = t.ids("row ids of rows from before")
        t.send(3)
        t.insert(2)
        t.send(1)
        second = t.ids("row ids of both")
        t.same("row ids stay", first, second)
        added = {v for v, actions in t.commits().items() for a in actions if "add" in a and a["add"]["dataChange"]}
        wrong = [v for i, (_, v) in second.items() if i not in first and v not in added]
        t.note("row versions are of commits", len(second), f"{wrong[:3]}" if wrong else None)
        t.sql("UPDATE TABLE! SET note = 'changed' WHERE id % 10 = 3")
        t.send(1)
        third = t.ids("row ids after UPDATE")
        t.same("row ids stay through UPDATE", second, third, but=lambda i: i % 10 == 3)
        t.sql("OPTIMIZE TABLE!").collect()
        t.send(1)
        fourth = t.ids("row ids after OPTIMIZE")
        t.same("row ids stay through OPTIMIZE", third, fourth)
        t.beside([t.insert, lambda: t.sql("UPDATE TABLE! SET note = 'again' WHERE id = 7")])
        t.send(4)
        t.checkpointed(t.version() - 4)
    last = t.ids("row ids after both at once")
    t.same("row ids stay with both at once", fourth, last, but=lambda i: i == 7)
    t.whole("rows with ids")
    t.keep()
    t.same("row ids from the server's checkpoint", last, t.ids("row ids from the server's checkpoint alone"))
    with serve():
        t.send(2)
    t.insert()
    t.same("row ids after a restart", last, t.ids("row ids after a restart on a checkpoint"))
    t.whole("rows with ids, after a restart")


def run(spark, binary, out, report):
    complaints = []

    class Served(serving.Server):
        def __exit__(self, *end):
            super().__exit__(*end)
            complaints.extend(self.complaints())

    serve = lambda: Served(binary, out, commit_interval="50ms")
    with serve():
        tool = tables.Tool(binary, out)
    by_spark = "ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.enableInCommitTimestamps' = 'true')"
    timed(spark, serve, tool, report, "timed_by_spark", lambda t: t.sql(by_spark))
    timed(spark, serve, tool, report, "timed_by_us", lambda t: tool("sql", by_spark.replace("TABLE!", "main.default." + t.name)))
    tracked(spark, serve, tool, report)
    report.note("zerobus", "", "no complaints of the server", "tracked_by_spark", 0, "; ".join(complaints[:3]) or None)
