"""Reads the tables of ../tables.py with Spark, and has Spark write beside the server.

usage: check.py ZEROBUS_BINARY OUT_DIR [tables | beside | logs | features | mapping]
"""

import itertools
import json
import os
import sys
import time
import urllib.parse

import beside
import features
import logs
import mapping
import serving
import session
import tables

BINARY, OUT = sys.argv[1:3]
PARTS = sys.argv[3:] or ["tables", "beside", "logs", "features", "mapping"]
REPORT = tables.Report()


class Reader:
    """All checks of one table."""

    def __init__(self, spark, table, root):
        self.spark, self.table, self.root = spark, table, root
        self.version = spark.version + "/" + session.DELTA
        self.sent, self.want = list(table.rows()), table.expected()
        self.latest = tables.versions(root) - 1

    def note(self, check, rows, fault=None):
        REPORT.note("Spark/Delta", self.version, check, self.table.name, rows, fault)

    def frame(self, version=None):
        options = {} if version is None else {"versionAsOf": version}
        return self.spark.read.format("delta").options(**options).load(self.root)

    def sql(self, statement):
        return self.spark.sql(statement.replace("TABLE!", f"delta.`{self.root}`"))

    def set(self, key, on):
        self.spark.conf.set(key, "true" if on else "false")

    def run(self):
        for check in (self.rows, self.old_versions, self.skipping, self.metadata, self.history, self.detail, self.vacuum, self.stream):
            began = time.monotonic()
            try:
                check()
            except Exception as e:  # a reader that gives up is a finding like any other
                self.note(check.__name__.replace("_", " "), 0, f"{type(e).__name__}: {str(e)[:1500]}")
            print(f"spark     {self.table.name:12} {check.__name__:13} {time.monotonic() - began:6.1f} s", flush=True)

    def rows(self):
        got = session.keys(self.table, self.frame())
        self.note("rows", len(got), tables.difference(got, self.want))

    def old_versions(self):
        """Each version has the first rows that were sent, and more of them than the one before."""
        total, before = 0, -1
        for v in sorted({0, 1, self.latest // 2, self.latest}):
            got = session.keys(self.table, self.frame(v))
            fault = tables.difference(got, self.want[:len(got)])
            if len(got) <= before or v == 0 and got:
                fault = f"{len(got)} rows, {before} in an earlier version"
            total, before = total + len(got), len(got)
            self.note("versionAsOf", len(got), fault and f"version {v}: {fault}")

    def filters(self):
        """Filters on all columns, with constants that are among the values."""
        columns = list(session.scalars(self.table))
        operators = itertools.cycle([("=", "<", ">="), (">", "=", "<="), ("<=>", "!=", "<")])
        for path, kind in columns if len(columns) < 30 else columns[::4]:
            e = ".".join(map(session.quoted, path))
            found = []
            for i in (0, 1, 2, 120, 260, 700, 999):
                value = self.sent[i]
                for step in path:
                    value = None if value is None else value.get(step)
                if value is not None and not (path[0] in self.table.partitions and value == "") and value not in found:
                    found.append(value)
            yield f"{e} IS NULL"
            yield f"{e} IS NOT NULL"
            for value, operator in zip(found[:3], next(operators)):
                yield f"{e} {operator} {session.literal(kind, value)}"
            if kind[0] == "string":
                yield f"{e} LIKE 'a%'"
        for name, kind in self.table.kinds.items():
            if kind[0] in ("array", "map"):
                yield f"size({session.quoted(name)}) > 1"

    def skipping(self):
        """Each filter finds the same rows with skipping as a scan without filter and skipping."""
        filters = list(self.filters())
        self.set("spark.databricks.delta.stats.skipping", False)
        whole = self.sql("SELECT " + ", ".join(f"count_if({f}), sum(IF({f}, xxhash64(id) % 1000003, NULL))" for f in filters) + " FROM TABLE!").collect()[0]
        self.set("spark.databricks.delta.stats.skipping", True)
        found = {}
        for i in range(0, len(filters), 40):
            part = " UNION ALL ".join(f"SELECT {i + j} AS n, count(*) AS c, sum(xxhash64(id) % 1000003) AS h FROM TABLE! WHERE {f}" for j, f in enumerate(filters[i:i + 40]))
            found.update({r.n: (r.c, r.h) for r in self.sql(part).collect()})
        for i, f in enumerate(filters):
            if found[i] != (whole[2 * i], whole[2 * i + 1]):
                self.note("filters, skipping on = off", 0, f"{f}: {found[i][0]} rows with skipping, {whole[2 * i]} without")
                return
        self.note("filters, skipping on = off", len(filters))

    def metadata(self):
        """COUNT, MIN and MAX out of the log are those of a scan."""
        least = ", ".join(f"MIN({session.quoted(n)}), MAX({session.quoted(n)})"
                          for n, k in list(self.table.kinds.items())[:32]  # further ones have no statistics
                          if k[0] in list(tables.INTEGERS) + ["float", "double", "date"] and n not in self.table.partitions)
        for query in ("SELECT COUNT(*) FROM TABLE!", f"SELECT COUNT(*), {least} FROM TABLE!"):
            results, planned = [], []
            for on in (True, False):
                self.set("spark.databricks.delta.optimizeMetadataQuery.enabled", on)
                frame = self.sql(query)
                planned.append("FileScan" not in frame._jdf.queryExecution().executedPlan().toString())
                results.append(frame.collect()[0])
            self.set("spark.databricks.delta.optimizeMetadataQuery.enabled", True)
            fault = None
            if results[0] != results[1] or results[0][0] != len(self.sent):
                fault = f"{query}: {results[0]} from the log, {results[1]} by a scan"
            elif planned != [True, False]:
                fault = f"{query}: answered from the log: {planned[0]}; by a scan: {not planned[1]}"
            self.note("COUNT, MIN, MAX from the log", results[0][0], fault)

    def history(self):
        rows = self.sql("DESCRIBE HISTORY TABLE!").collect()
        written = sum(int((r.operationMetrics or {}).get("numOutputRows", 0)) for r in rows)
        fault = None
        if sorted(r.version for r in rows) != list(range(self.latest + 1)):
            fault = f"versions {[r.version for r in rows]}"
        elif written != len(self.sent):
            fault = f"numOutputRows are {written} together"
        elif {r.operation for r in rows} != {"CREATE TABLE", "STREAMING UPDATE"} or not all(r.engineInfo.startswith("zerobus") for r in rows):
            fault = f"operations {[(r.operation, r.engineInfo) for r in rows]}"
        self.note("DESCRIBE HISTORY", written, fault)

    def live(self):
        return {p.removeprefix("file://").removeprefix("file:") for p in self.frame().inputFiles()}

    def detail(self):
        d = self.sql("DESCRIBE DETAIL TABLE!").collect()[0]
        sizes = [os.path.getsize(urllib.parse.unquote(p)) for p in self.live()]
        fault = None
        if (d.format, d.numFiles, d.sizeInBytes) != ("delta", len(sizes), sum(sizes)) or list(d.partitionColumns) != self.table.partitions:
            fault = f"{d}, where there are {len(sizes)} files of {sum(sizes)} bytes"
        self.note("DESCRIBE DETAIL", len(self.sent), fault)

    def vacuum(self):
        listed = {r.path.removeprefix("file:") for r in self.sql("VACUUM TABLE! RETAIN 0 HOURS DRY RUN").collect()}
        bad = listed & self.live()
        self.note("VACUUM DRY RUN lists no live file", len(self.sent), f"lists {sorted(bad)[:3]}" if bad else None)

    def stream(self):
        """A stream over all versions gives each row once, in more than one batch."""
        name = "stream_" + self.table.name
        frame = (self.spark.readStream.format("delta").option("startingVersion", 0)
                 .option("maxFilesPerTrigger", max(1, len(self.live()) // 2)).load(self.root).selectExpr(session.row_expression(self.table)))
        query = frame.writeStream.format("memory").queryName(name).trigger(availableNow=True).start()
        query.awaitTermination()
        rows = [json.loads(r.row) for r in self.spark.table(name).collect()]
        got = [self.table.key({n: session.from_json(k, r[n]) for n, k in self.table.kinds.items()}) for r in rows]
        self.note("readStream, each row once", len(got), tables.difference(got, self.want))


def main():
    began = time.monotonic()
    spark = session.start(OUT)
    print(f"spark     {spark.version}, Delta {session.DELTA}: up after {time.monotonic() - began:.0f} s", flush=True)
    if "tables" in PARTS:
        with serving.Server(BINARY, OUT):
            refused = tables.send(BINARY, OUT)
        REPORT.refused(refused)
        tool = tables.Tool(BINARY, OUT)
        for table in tables.TABLES:
            if table.name not in refused:
                Reader(spark, table, tool.location(table.name)).run()
    if "beside" in PARTS:
        with serving.Server(BINARY, OUT):
            state = beside.run(spark, BINARY, OUT, REPORT)
        beside.after_restart(spark, BINARY, OUT, REPORT, state)
    if "logs" in PARTS:
        logs.run(spark, BINARY, OUT, REPORT)
    if "features" in PARTS:
        features.run(spark, BINARY, OUT, REPORT)
    if "mapping" in PARTS:
        mapping.run(spark, BINARY, OUT, REPORT)
    spark.stop()
    print(f"spark     {time.monotonic() - began:.0f} s in all")
    sys.exit(REPORT.finish())


if __name__ == "__main__":
    main()
