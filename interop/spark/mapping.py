"""Tables with column mapping and clustering that the server appends to while Spark renames, adds and drops their columns.

The server makes tables in the modes name and id; in a third one Spark turns mapping on and clusters it. Each time Spark has
changed the columns, the server appends by the names that are there then, with the streams of before, of which some are open through the
change, and Spark finds every row, its values in the columns that are left. Filters find by data skipping what is there.
"""

import json
import os

import serving
import session
import tables

COLUMNS = ("id BIGINT, day STRING, label STRING, place STRUCT<zip: STRING, geo: STRUCT<lat: DOUBLE>>, "
           "tags ARRAY<STRUCT<k: STRING, v: INT>>, counts MAP<STRING, STRUCT<n: INT>>")
ROWS = 15  # of a part
CONFLICTS = ("DELTA_CONCURRENT", "ConcurrentAppendException", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")


class Table:
    def __init__(self, spark, tool, report, name, clauses):
        self.spark, self.tool, self.report, self.name = spark, tool, report, name
        tool("sql", f"CREATE TABLE main.default.{name} ({COLUMNS}) {clauses}")
        self.root, self.env = tool.location(name), tool.writer(name)
        self.sent, self.label, self.tags = 0, "label", True

    def sql(self, statement):
        """Runs a statement, again when a commit of the server was in its way."""
        while True:
            self.spark._jvm.org.apache.spark.sql.delta.DeltaLog.clearCache()
            try:
                return self.spark.sql(statement.replace("TABLE!", f"delta.`{self.root}`"))
            except Exception as e:
                if not any(c in str(e) for c in CONFLICTS):
                    raise

    def actions(self, kind):
        names = sorted(n for n in os.listdir(self.root + "/_delta_log") if n.endswith(".json") and n[0].isdigit())
        lines = [json.loads(line) for n in names for line in open(f"{self.root}/_delta_log/{n}")]
        return [a[kind] for a in lines if kind in a]

    def send(self):
        lines = []
        for i in range(self.sent, self.sent + ROWS):
            row = {"id": i, "day": [None, "monday", "a b/c"][i % 3], self.label: f"größe {i}", "place": {"geo": {"lat": i / 4}}, "counts": {"c": {"n": i}}}
            if self.tags:
                row["tags"] = [{"k": "a", "v": i}]
            lines.append(json.dumps(row))
        before = len(self.actions("txn"))
        self.tool("ingest", "--table", "main.default." + self.name, "-", input="\n".join(lines), env=self.env)
        self.sent += ROWS
        tables.wait_until(f"a commit of {self.name}", lambda: len(self.actions("txn")) > before)

    def check(self, what):
        """Every row is there once, with its values."""
        rows = self.sql(f"SELECT * FROM TABLE! WHERE id < {self.sent} ORDER BY id").collect()
        got = [(r.id, r.day, r[self.label], r.place.geo.lat, r.counts["c"].n, r.tags[0].v if self.tags else None) for r in rows]
        want = [(i, [None, "monday", "a b/c"][i % 3], f"größe {i}", i / 4, i, i if self.tags else None) for i in range(self.sent)]
        fault = tables.difference(map(repr, got), map(repr, want))
        some = self.sql(f"SELECT id FROM TABLE! WHERE place.geo.lat >= {self.sent / 8} AND `{self.label}` >= 'größe' AND id < {self.sent}").collect()
        missed = {i for i in range(self.sent) if i / 4 >= self.sent / 8} ^ {r.id for r in some}
        self.report.note("Spark/Delta", self.spark.version + "/" + session.DELTA, what, self.name, len(rows), fault or missed and f"a filter misses, or has too many: {missed}")

    def rename(self, to):
        self.sql(f"ALTER TABLE TABLE! RENAME COLUMN `{self.label}` TO `{to}`")
        self.label = to


def changed(t):
    """What Spark does to the columns, with appends in between."""
    t.send()
    t.check("mapped columns")
    t.rename("a name, with a space")
    t.send()
    t.sql("ALTER TABLE TABLE! RENAME COLUMN place.zip TO code")
    t.check("renamed columns")
    t.tool("sql", f"ALTER TABLE main.default.{t.name} ADD COLUMN note STRUCT<a: INT>")
    t.sql("ALTER TABLE TABLE! ADD COLUMNS (extra STRING AFTER id)")
    t.send()
    t.sql("INSERT INTO TABLE! (id, day, extra, note) VALUES (1000000, 'monday', 'e', named_struct('a', 7))")
    t.check("added columns")
    t.sql("ALTER TABLE TABLE! DROP COLUMN tags")
    t.tags = False
    t.send()
    t.check("a dropped column")


def clustered(t):
    """Spark clusters by columns of which only the first would have statistics."""
    t.sql(f"ALTER TABLE TABLE! CLUSTER BY (place.geo.lat, `{t.label}`)")
    t.sql("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.dataSkippingNumIndexedCols' = '1')")
    t.send()  # the files of the first commit are of before
    t.send()
    stats = json.loads(t.actions("add")[-1]["stats"])
    fault = None if list(stats["minValues"]) == ["id", "label", "place"] and stats["minValues"]["place"]["geo"] else stats
    t.report.note("zerobus", "", "statistics of clustering columns", t.name, ROWS, fault)
    t.check("clustered columns")
    t.sql("OPTIMIZE TABLE!").collect()
    t.send()
    t.check("clustered columns after OPTIMIZE")


def run(spark, binary, out, report):
    with serving.Server(binary, out, commit_interval="50ms"):
        tool = tables.Tool(binary, out)
        made = [Table(spark, tool, report, "mapped_by_" + mode, f"PARTITIONED BY (day) TBLPROPERTIES ('delta.columnMapping.mode' = '{mode}')") for mode in ("name", "id")]
        later = Table(spark, tool, report, "mapped_later", "")
        later.send()
        later.sql("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        for t in [*made, later]:
            changed(t)
    with serving.Server(binary, out, commit_interval="50ms"):
        for t in [*made, later]:
            t.send()
            t.check("changed columns, after a restart")
        clustered(later)
    for t in [*made, later]:
        tool("table", "check", "main.default." + t.name)
