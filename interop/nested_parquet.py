"""Reads a file of nested columns, which a test of parquetfile writes, with pyarrow, DuckDB and delta-rs and compares every row.

usage: nested_parquet.py (it makes a directory of its own; Go is needed)
"""

import base64
import datetime
import decimal
import json
import os
import subprocess
import sys
import tempfile

import deltalake
import duckdb
import pyarrow
import pyarrow.parquet

HERE = os.path.dirname(os.path.abspath(__file__))
EPOCH = datetime.datetime(1970, 1, 1)


def canonical(value, want):
    """A reader's value in the form of the expected one: times as numbers, maps as pairs, a variant as its two binaries."""
    if isinstance(value, decimal.Decimal):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        if value.tzinfo is not None:
            value = value.astimezone(datetime.timezone.utc).replace(tzinfo=None)
        d = value - EPOCH
        return (d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days
    if isinstance(value, dict) and isinstance(want, list):
        value = [(k, value[k]) for k, _ in want] if set(value) == {k for k, _ in want} else list(value.items())
    if isinstance(value, dict):
        want = want if isinstance(want, dict) else {}
        return {k: canonical(v, want.get(k)) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        want = want if isinstance(want, list) and len(want) == len(value) else [None] * len(value)
        return [canonical(v, w) for v, w in zip(value, want)]
    return value


def expected(value):
    """The row of the test without the JSON of variants, which these readers do not make."""
    if isinstance(value, dict):
        return {k: expected(v) for k, v in value.items() if not (k == "json" and "metadata" in value)}
    if isinstance(value, list):
        return [expected(v) for v in value]
    return value


def compare(reader, version, got, want):
    fault = None if len(got) == len(want) else f"{len(got)} rows, expected {len(want)}"
    for g, w in zip(got, want):
        g = canonical(g, w)
        for name in w:
            if fault is None and g.get(name) != w[name]:
                fault = f"row {w['id']}, column {name}: {str(g.get(name))[:300]}, expected {str(w[name])[:300]}"
    print(f"{reader:10} {version:10} {len(got):6} rows  {fault or 'ok'}")
    return fault is None


def by_id(rows):
    return sorted(rows, key=lambda r: r["id"])


def main():
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(["go", "test", "-count=1", "-run", "^TestNested_ForOtherReaders$", "./internal/parquetfile"], cwd=HERE + "/../server",
                       env=os.environ | {"ZEROBUS_NESTED_DIR": out}, check=True, stdout=subprocess.DEVNULL)
        with open(out + "/rows.ndjson") as f:
            want = [expected(json.loads(line)) for line in f]
        path, ok = out + "/table/part.parquet", True
        ok &= compare("pyarrow", pyarrow.__version__, pyarrow.parquet.read_table(path).to_pylist(), want)
        con = duckdb.connect()
        con.execute("SET TimeZone = 'UTC'")
        ok &= compare("DuckDB", duckdb.__version__, by_id(con.sql("SELECT * FROM read_parquet(?)", params=[path]).to_arrow_table().to_pylist()), want)
        table = deltalake.DeltaTable(out + "/table")
        rows = pyarrow.table(deltalake.QueryBuilder().register("t", table).execute("SELECT * FROM t ORDER BY id")).to_pylist()
        ok &= compare("delta-rs", deltalake.__version__, rows, want)
        add = pyarrow.table(table.get_add_actions(flatten=True)).to_pylist()[0]
        for name in ("s.a", "s.b", "s.t.d", "s.t.x"):
            values = [r["s"] for r in want]
            for part in name.split(".")[1:]:
                values = [v and v[part] for v in values]
            some = [v for v in values if v is not None]
            got = [add.get(f"{k}.{name}") for k in ("null_count", "min", "max")]
            if canonical(got, None) != [len(values) - len(some), min(some), max(some)]:
                ok = False
                print(f"statistics of {name} are {got}, expected {[len(values) - len(some), min(some), max(some)]}")
        nulls = {n: add.get("null_count." + n) for n in ("l", "m", "v", "never")}
        if nulls != {n: sum(r[n] is None for r in want) for n in nulls}:
            ok = False
            print(f"null counts are {nulls}")
    sys.exit(0 if ok else 1)


if __name__ == "__main__":
    main()
