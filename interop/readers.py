"""Reads the tables that the server wrote with delta-rs, Polars and DuckDB and compares every row with what was sent.

usage: readers.py ZEROBUS_BINARY OUT_DIR FLIGHTS_NDJSON_GZ
"""

import glob
import gzip
import json
import os
import sys
import urllib.parse

import deltalake
import duckdb
import polars
import pyarrow
import pyarrow.parquet

import tables

BINARY, OUT = sys.argv[1:3]
REPORT = tables.Report()


def location(table):
    return tables.Tool(BINARY, OUT).location(table)


def plain(table):
    """Timestamps as integers, so that no reader's date type limits what can be compared."""
    cols = []
    for field in table.schema:
        c = table[field.name]
        if pyarrow.types.is_timestamp(field.type):
            c = c.cast(pyarrow.timestamp("us", field.type.tz)).cast(pyarrow.int64())
        elif pyarrow.types.is_date(field.type):
            c = c.cast(pyarrow.int32())
        cols.append(c)
    return pyarrow.table(cols, names=table.schema.names).to_pylist()


# Readers. Each gives the rows of a version, or of the latest, as dictionaries.

def delta_rs(root, version=None):
    return plain(deltalake.DeltaTable(root, version=version).to_pyarrow_table())


def by_polars(root, version=None):
    # Its own scan takes the values of partitions from the names of directories, not from the log.
    by_log = bool(deltalake.DeltaTable(root).metadata().partition_columns)
    return plain(polars.scan_delta(root, version=version, use_pyarrow=by_log).collect().to_arrow())


def duck(root, version=None):
    """Replays the commits of the log in SQL and reads the live files. Values of partition columns are in the log alone."""
    con = duckdb.connect()
    con.sql("SET TimeZone = 'UTC'")
    logs = sorted(glob.glob(root + "/_delta_log/" + "[0-9]" * 20 + ".json"))
    actions = con.execute("""
        WITH actions AS (
          SELECT json, json->>'$.add.path' AS added, json->>'$.remove.path' AS removed, filename
          FROM read_json_objects(?, format = 'newline_delimited', filename = true))
        SELECT added, json->'$.add.partitionValues' FROM actions
        WHERE added IS NOT NULL AND added NOT IN (SELECT removed FROM actions WHERE removed IS NOT NULL)
        """, [logs[: None if version is None else version + 1]]).fetchall()
    if not actions:
        return []
    values = {f"{root}/{urllib.parse.unquote(path)}": json.loads(partition or "{}") for path, partition in actions}
    found = con.sql("SELECT *, filename AS \"from file\" FROM read_parquet(?, hive_partitioning = false)", params=[list(values)]).to_arrow_table()
    rows = plain(found)
    for row in rows:
        row["values"] = values[row.pop("from file")]
    return rows


READERS = [("delta-rs", deltalake.__version__, delta_rs), ("Polars", polars.__version__, by_polars), ("DuckDB", duckdb.__version__, duck)]


def key_of(table, row):
    """The row of a reader as text. What is in the log alone comes as text of the log."""
    for name, text in (row.get("values") or {}).items():
        row[name] = tables.partition_value(table.kinds[name], text)
    return table.key(row)


def shared(table):
    """All readers on a table of tables.py: every row of the latest version, and the first rows at each older one."""
    root, want = location(table.name), table.expected()
    latest = tables.versions(root) - 1
    for reader, version, read in READERS:
        def check(what, judge):
            try:
                rows, fault = judge()
            except Exception as e:  # a reader that gives up is a finding like any other
                rows, fault = 0, f"{type(e).__name__}: {str(e)[:1000]}"
            REPORT.note(reader, version, what, table.name, rows, fault)

        def rows():
            got = [key_of(table, r) for r in read(root)]
            return len(got), tables.difference(got, want)

        def versions():
            total, before = 0, -1
            for v in range(latest + 1):
                got = [key_of(table, r) for r in read(root, v)]
                fault = tables.difference(got, want[: len(got)])
                if len(got) < before or v == 0 and got or fault:
                    return total, f"version {v}: {len(got)} rows, {before} in the version before: {fault}"
                total, before = total + len(got), len(got)
            return total, None

        check("rows", rows)
        check("old versions", versions)
    statistics(table.name, root)


def sent_by_others(name, sent):
    """All readers on a table that another program has filled."""
    root, names = location(name), list(sent[0])
    kinds = {field.name: kind_of_arrow(field.type) for field in pyarrow.schema(deltalake.DeltaTable(root).schema().to_arrow()) if field.name in names}
    key = lambda row: json.dumps([tables.canonical(kinds[n], row[n]) for n in names])
    want = [key(r) for r in sent]
    for reader, version, read in READERS:
        got = [key(r) for r in read(root)]
        REPORT.note(reader, version, "rows", name, len(got), tables.difference(got, want))
    statistics(name, root)


def kind_of_arrow(kind):
    if pyarrow.types.is_decimal(kind):
        return ("decimal", kind.precision, kind.scale)
    if pyarrow.types.is_floating(kind):
        return ("float",) if kind.bit_width == 32 else ("double",)
    return ("other",)


def statistics(table, root):
    """The statistics of each file against the file, as delta-rs and pyarrow read them."""
    faults, rows = [], 0
    for a in pyarrow.table(deltalake.DeltaTable(root).get_add_actions(flatten=True)).to_pylist():
        data = pyarrow.parquet.read_table(root + "/" + urllib.parse.unquote(a["path"]), partitioning=None)
        rows += data.num_rows
        if a["num_records"] != data.num_rows:
            faults.append(f"{a['path']}: {a['num_records']} records, {data.num_rows} rows")
        for name in data.schema.names:
            column = data[name]
            if "null_count." + name not in a and "min." + name not in a:
                continue  # beyond the first columns, or nested
            if a.get("null_count." + name) not in (column.null_count, None):
                faults.append(f"{name}: null count {a.get('null_count.' + name)}, {column.null_count} nulls")
            values = [v for v in column.to_pylist() if v is not None] if not pyarrow.types.is_timestamp(column.type) else []
            low, high = a.get("min." + name), a.get("max." + name)
            if values and low is not None and low > min(values):
                faults.append(f"{name}: min {low} above {min(values)}")
            if values and high is not None and high < max(values):
                faults.append(f"{name}: max {high} below {max(values)}")
    REPORT.note("delta-rs", deltalake.__version__, "statistics against the files", table, rows, faults[0] if faults else None)


def leave(status):
    """Ends the process at once: threads of the libraries may still run, and abort it on the usual way out."""
    sys.stdout.flush()
    os._exit(status)


def main():
    with open(tables.refused_file(OUT)) as f:
        refused = json.load(f)
    REPORT.refused(refused)
    sent = {}
    for path in sorted(glob.glob(OUT + "/sent-*.json")):
        with open(path) as f:
            sent[path.rsplit("sent-", 1)[1].removesuffix(".json")] = json.load(f)
    with gzip.open(sys.argv[3], "rt") as f:
        sent["flights"] = [json.loads(line) for line in f]
    assert len(sent) == 3, sent.keys()
    for name, rows in sent.items():
        sent_by_others(name, rows)
    for table in tables.TABLES:
        if table.name not in refused:
            shared(table)
    leave(REPORT.finish())


if __name__ == "__main__":
    main()
