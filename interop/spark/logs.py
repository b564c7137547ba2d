"""The log of one table as both keep it: Spark and the server read each other's checkpoints, with everything before them deleted.

Checkpoints of Spark are classic ones, and those of V2 with JSON or Parquet at the top and sidecars; the server's are classic in each
case. From each, Spark and the server find the rows that both have written, and the server commits on it.
"""

import glob
import json
import os

import aged
import serving
import session
import tables

INTERVAL = 3  # of Spark's checkpoints of V2


class Log:
    def __init__(self, spark, binary, out, report):
        self.spark, self.binary, self.out, self.report = spark, binary, out, report
        with self.serve():
            self.table = aged.Aged(tables.Tool(binary, out), "logged")
        self.inserted, self.complaints = [], []

    def serve(self):
        return serving.Server(self.binary, self.out, commit_interval="50ms")

    def commit(self, than=-1):
        """Commits of the server, until there is a checkpoint of a later version. Returns that."""
        with self.serve() as server:
            self.table.send(10 if than < 0 else 5)
            tables.wait_until("a checkpoint", lambda: max(self.table.checkpoints(), default=-1) > than and self.table.log("_last_checkpoint"))
            self.complaints += server.complaints()
        return max(self.table.checkpoints())

    def sql(self, statement):
        return self.spark.sql(statement.replace("TABLE!", f"delta.`{self.table.root}`"))

    def insert(self, commits):
        for _ in range(commits):
            row = (1_000_000 + len(self.inserted), "spark", "b c/d")
            self.sql("INSERT INTO TABLE! VALUES ({}, '{}', '{}')".format(*row))
            self.inserted.append(row)

    def checkpoint(self, version_in=lambda name: True):
        """The newest version that has a checkpoint of any form."""
        names = [os.path.basename(p) for p in self.table.log("*.checkpoint.*")]
        return max(int(name[:20]) for name in names if version_in(name))

    def keep(self, version):
        """Deletes what readers do not need to begin with the checkpoint of the version."""
        for path in set(self.table.log("0*")):
            name = os.path.basename(path)
            if int(name[:20]) < version or name.endswith(".crc") or ".checkpoint." in name and int(name[:20]) != version:
                os.remove(path)

    def compare(self, check):
        """Both find all rows. The caches of Spark are emptied, so that it reads the log."""
        self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
        want = self.table.rows() + self.inserted
        got = [tuple(r) for r in self.sql("SELECT id, note, part FROM TABLE!").collect()]
        self.report.note("Spark/Delta", self.spark.version + "/" + session.DELTA, check, self.table.name, len(got), difference(got, want))
        rows = json.loads(self.table.tool("table", "head", "main.default." + self.table.name, "-n", "10000", "--json"))["rows"]
        got = [(int(i), note, part) for i, note, part in rows]
        self.report.note("zerobus", "", check, self.table.name, len(got), difference(got, want))


def difference(got, want):
    return tables.difference(map(repr, got), map(repr, want))


def run(spark, binary, out, report):
    log = Log(spark, binary, out, report)
    version = log.commit()
    log.compare("whole log")
    log.keep(version)
    log.compare("server's checkpoint")
    log.insert(9)
    version = log.checkpoint(lambda name: int(name[:20]) > version)
    log.keep(version)
    log.compare("Spark's classic checkpoint")
    version = log.commit(than=version)
    log.keep(version)
    log.compare("server's checkpoint after it")
    log.sql(f"ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.checkpointPolicy' = 'v2', 'delta.checkpointInterval' = '{INTERVAL}')")
    for form in ("json", "parquet"):
        spark.conf.set("spark.databricks.delta.checkpointV2.topLevelFileFormat", form)
        log.insert(2 * INTERVAL + 1)
        log.sql(f"DELETE FROM TABLE! WHERE id = {log.inserted[0][0]}")
        row = log.inserted.pop(0)
        log.inserted.insert(0, (row[0] - 500_000, row[1], row[2]))  # ids of inserted rows count their number
        log.sql("INSERT INTO TABLE! VALUES ({}, '{}', '{}')".format(*log.inserted[0]))
        version = log.checkpoint(lambda name: name.endswith(form) and "-" in name)
        log.keep(version)
        log.compare(f"Spark's V2 checkpoint, {form}")
    version = log.commit(than=version)
    log.keep(version)
    log.compare("server's checkpoint of a V2 table")
    log.insert(1)
    log.compare("both after it")
    sidecars = len(glob.glob(log.table.root + "/_delta_log/_sidecars/*"))
    faults = [f"complaints of the server: {log.complaints[:3]}"] if log.complaints else []
    if not sidecars:
        faults.append("Spark wrote no sidecars")
    report.note("zerobus", "", "no complaints of the server", log.table.name, len(log.table.rows()), "; ".join(faults))
