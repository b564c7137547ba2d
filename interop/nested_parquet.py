"""Reads a file of nested columns, which a test of parquetfile writes, with pyarrow, DuckDB and delta-rs and compares every row. Then
they and Polars write the rows in every encoding that they have, and a test of parquetfile reads them.

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
import polars
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


def go_test(name, out):
    command = ["go", "test", "-count=1", "-run", f"^{name}$", "./internal/parquetfile"]
    r = subprocess.run(command, cwd=HERE + "/../server", env=os.environ | {"ZEROBUS_NESTED_DIR": out}, capture_output=True, text=True)
    if r.returncode != 0:
        print(r.stdout + r.stderr)
    return r.returncode == 0


def write_all(path, out):
    """Writes the rows of a file in other ways; booleans of version 2 and LZ4 are refused."""
    os.mkdir(out)
    table = pyarrow.parquet.read_table(path)
    pyarrow.parquet.write_table(table, out + "/refused-v2.parquet", data_page_version="2.0")
    pyarrow.parquet.write_table(table, out + "/refused-lz4.parquet", compression="lz4")
    small = {"data_page_size": 200, "write_batch_size": 1}  # rows go on from page to page
    pyarrow.parquet.write_table(table, out + "/small.parquet", **small)
    pyarrow.parquet.write_table(table, out + "/two-levels.parquet", use_compliant_nested_type=False, compression="none")
    pyarrow.parquet.write_table(table, out + "/integers.parquet", store_decimal_as_integer=True, dictionary_pagesize_limit=300, compression="gzip")
    columns = pyarrow.parquet.ParquetFile(out + "/small.parquet").metadata.schema
    columns = [columns.column(i) for i in range(len(columns))]
    delta = {"INT32": "DELTA_BINARY_PACKED", "INT64": "DELTA_BINARY_PACKED", "BYTE_ARRAY": "DELTA_BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY": "DELTA_BYTE_ARRAY"}
    split = dict.fromkeys(("INT32", "INT64", "FLOAT", "DOUBLE", "FIXED_LEN_BYTE_ARRAY"), "BYTE_STREAM_SPLIT") | {"BYTE_ARRAY": "DELTA_LENGTH_BYTE_ARRAY"}
    for name, by_type in ("delta", delta), ("split", split):
        encodings = {c.path: by_type[c.physical_type] for c in columns if c.physical_type in by_type}
        pyarrow.parquet.write_table(table, f"{out}/{name}.parquet", use_dictionary=False, column_encoding=encodings, compression="brotli", **small)
    polars.read_parquet(path).write_parquet(out + "/polars.parquet", row_group_size=300)
    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"COPY (SELECT * FROM read_parquet('{path}') ORDER BY id) TO '{out}/duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 2048)")


def by_id(rows):
    return sorted(rows, key=lambda r: r["id"])


def main():
    with tempfile.TemporaryDirectory() as out:
        if not go_test("TestNested_ForOtherReaders", out):
            sys.exit(1)
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
        write_all(path, out + "/written")
        written = go_test("TestNested_OfOtherWriters", out)
        print(f"{len(os.listdir(out + '/written')):6} files of other writers  {'ok' if written else 'differ'}")
    sys.exit(0 if ok and written else 1)


if __name__ == "__main__":
    main()
