"""Reads the tables that the server wrote with delta-rs and DuckDB and compares every row with what was sent.

usage: readers.py ZEROBUS_BINARY OUT_DIR FLIGHTS_NDJSON_GZ
"""

import base64
import collections
import datetime
import decimal
import glob
import gzip
import json
import os
import subprocess
import sys

import deltalake
import duckdb
import pyarrow
import pyarrow.parquet

BINARY, OUT = sys.argv[1:3]
EPOCH = datetime.datetime(1970, 1, 1)
RESULTS = []


def location(table):
    out = subprocess.run([BINARY, "table", "describe", "main.default." + table, "--data", OUT + "/data", "--json"],
                         check=True, capture_output=True, text=True).stdout
    return json.loads(out)["location"]


def micros(t):
    if t.tzinfo is not None:
        t = t.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    d = t - EPOCH
    return (d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds


def canonical(value):
    """A value as the client wrote it down."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return micros(value)
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days
    if isinstance(value, decimal.Decimal):
        return str(value) if value else "0.0000"
    return value


def multiset(rows, names):
    return collections.Counter(tuple(canonical(r[n]) for n in names) for r in rows)


def compare(reader, version, table, got, want, names):
    got, want = multiset(got, names), multiset(want, names)
    result = "ok"
    if got != want:
        missing, extra = want - got, got - want
        result = f"{missing.total()} missing, {extra.total()} extra; e.g. {next(iter(missing or extra))}"
    RESULTS.append((reader, version, table, got.total(), result))


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


def delta_rs(table, want, names):
    t = deltalake.DeltaTable(location(table))
    compare("delta-rs", deltalake.__version__, table, plain(t.to_pyarrow_table()), want, names)
    # Each version adds to the one before it; the first is empty.
    rows = [deltalake.DeltaTable(location(table), version=v).to_pyarrow_table().num_rows for v in range(t.version() + 1)]
    ok = rows[0] == 0 and all(a < b for a, b in zip(rows, rows[1:])) and rows[-1] == len(want)
    RESULTS.append(("delta-rs", deltalake.__version__, table + f" @0..{t.version()}", rows[-1], "ok" if ok else f"rows by version: {rows}"))
    statistics(table, t)


def statistics(table, t):
    """The statistics of each file against the file, as delta-rs and pyarrow read them."""
    faults = []
    actions = pyarrow.table(t.get_add_actions(flatten=True)).to_pylist()
    for a in actions:
        data = pyarrow.parquet.read_table(location(table) + "/" + a["path"])
        if a["num_records"] != data.num_rows:
            faults.append(f"{a['path']}: {a['num_records']} records, {data.num_rows} rows")
        for name in data.schema.names:
            column = data[name]
            if a.get("null_count." + name) != column.null_count:
                faults.append(f"{name}: null count {a.get('null_count.' + name)}, {column.null_count} nulls")
            values = [v for v in column.to_pylist() if v is not None] if not pyarrow.types.is_timestamp(column.type) else []
            low, high = a.get("min." + name), a.get("max." + name)
            if values and low is not None and low > min(values):
                faults.append(f"{name}: min {low} above {min(values)}")
            if values and high is not None and high < max(values):
                faults.append(f"{name}: max {high} below {max(values)}")
    RESULTS.append(("delta-rs", deltalake.__version__, table + " statistics", len(actions), faults[0] if faults else "ok"))


def duck(table, want, names):
    """Replays the log in SQL and reads the live files."""
    root = location(table)
    con = duckdb.connect()
    con.sql("SET TimeZone = 'UTC'")
    live = con.sql(f"""
        WITH actions AS (
          SELECT json->>'$.add.path' AS added, json->>'$.remove.path' AS removed, filename
          FROM read_json_objects('{root}/_delta_log/0*.json', format = 'newline_delimited', filename = true))
        SELECT added FROM actions WHERE added IS NOT NULL AND added NOT IN (SELECT removed FROM actions WHERE removed IS NOT NULL)
        """).fetchall()
    files = [f"{root}/{path}" for (path,) in live]
    columns = ", ".join(
        f"epoch_us({n})" + f" AS {n}" if n in ("ts", "ntz", "date") else f"date_diff('day', DATE '1970-01-01', day) AS day" if n == "day" else n
        for n in names)
    cursor = con.execute(f"SELECT {columns} FROM read_parquet(?)", [files])
    got = [dict(zip(names, row)) for row in cursor.fetchall()]
    compare("DuckDB", duckdb.__version__, table, got, want, names)


def leave(status):
    """Ends the process at once: threads of the libraries may still run, and abort it on the usual way out."""
    sys.stdout.flush()
    os._exit(status)


def main():
    tables = {}
    for path in sorted(glob.glob(OUT + "/sent-*.json")):
        with open(path) as f:
            tables[path.rsplit("sent-", 1)[1].removesuffix(".json")] = json.load(f)
    with gzip.open(sys.argv[3], "rt") as f:
        tables["flights"] = [json.loads(line) for line in f]
    assert len(tables) == 3, tables.keys()
    for table, want in tables.items():
        names = list(want[0])
        delta_rs(table, want, names)
        duck(table, want, names)
    width = [max(len(str(r[i])) for r in RESULTS + [("reader", "version", "table", "rows", "result")]) for i in range(5)]
    for r in [("reader", "version", "table", "rows", "result")] + RESULTS:
        print("  ".join(str(c).ljust(w) for c, w in zip(r, width)).rstrip())
    bad = [r for r in RESULTS if r[4] != "ok"]
    print(f"{len(RESULTS) - len(bad)} passed, {len(bad)} failed")
    leave(1 if bad else 0)


if __name__ == "__main__":
    main()
