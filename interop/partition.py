"""Partitioned tables with odd values: their rows and what filters on the partition column find, by delta-rs and DuckDB.

usage: partition.py ZEROBUS_BINARY OUT_DIR

Starts a server of its own on OUT_DIR/partition. For each type there is a table that is partitioned by a column of it, with values that
paths, URIs, JSON and dates have trouble with. What JSON records cannot say (NaN, infinities) is added to the log by hand, in the
form in which the server writes it, which its tests know.
"""

import collections
import datetime
import decimal
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.parse

import deltalake
import duckdb
import pyarrow

BINARY, OUT = sys.argv[1], sys.argv[2] + "/partition"
DATA = OUT + "/data"
EPOCH = datetime.datetime(1970, 1, 1)
MICROS = [0, -1, 1, 1_700_000_000_123_456, 1_700_000_000_000_000, -62135596800000000, 253402300799999999]
VALUES = {
    "BOOLEAN": [True, False],
    "TINYINT": [-128, 0, 127],
    "SMALLINT": [-32768, 5, 32767],
    "INT": [-2**31, 0, 2**31 - 1],
    "BIGINT": [-2**63, 0, 2**53 + 1, 2**63 - 1],
    "FLOAT": [0.0, -1.5, 0.1, 1e10, 3.4028234663852886e38, 1e-45],
    "DOUBLE": [0.0, -1.5, 0.1, 0.0001, 1e7, 12345678.9, 1.7976931348623157e308, 5e-324],
    "DECIMAL(5,2)": ["0.00", "-0.01", "-1.23", "999.99", "1.50"],
    "DECIMAL(38,18)": ["0.000000000000000000", "-0.000000000000000001", "-12345678901234567890.123456789012345678"],
    "STRING": ["a", "A", "a b", " ", "", "100%", "%2F", "US/East", ".", "..", "a.", "größe", "e\u0301", "€🎈", "\"q\"", "it's", "back\\slash", "a=b", "a&b?c#d",
               "c:d", "[x]", "{y}", "line\nend", "tab\t", "__HIVE_DEFAULT_PARTITION__", "null", "NULL", "_delta_log", ".hidden", "con", "long" * 200, "1", "01",
               "2024-01-01", "true", "*", "|", "<>", "~", "a,b", "+"],
    "DATE": [0, -719162, 20000, 2932896, -1],
    "TIMESTAMP": MICROS,
    "TIMESTAMP_NTZ": MICROS,
}
FAULTS = []


def name_of(kind):
    return "p_" + kind.lower().translate(str.maketrans("(,", "__", ")"))


def tool(*args, **more):
    done = subprocess.run([BINARY, *args, "--data", DATA], capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"zerobus {' '.join(args)}: {done.stderr[-1000:]}")
    return done.stdout


def rows_of(kind):
    values = VALUES[kind] + [None]
    return [{"id": i, "k": values[i * 7 % len(values)], "v": f"row {i}"} for i in range(4 * len(values))]


def value_of(kind, v):
    """A value as delta-rs reads it."""
    if v is None or v == "":
        return None
    if kind.startswith("DECIMAL"):
        return decimal.Decimal(v)
    if kind == "FLOAT":
        return pyarrow.scalar(v, pyarrow.float32()).as_py()
    return v


def text_of(kind, text):
    """A value of the log, as delta-rs reads it."""
    if text is None or text == "":
        return None
    if kind == "BOOLEAN":
        return {"true": True, "false": False}[text]
    if kind == "DATE":
        return (datetime.date.fromisoformat(text) - EPOCH.date()).days
    if kind.startswith("TIMESTAMP"):
        assert (text[-1] == "Z") == (kind == "TIMESTAMP"), text
        d = datetime.datetime.fromisoformat(text.removesuffix("Z")) - EPOCH
        return (d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds
    if kind in ("FLOAT", "DOUBLE"):
        return value_of(kind, float(text))
    if kind.startswith("DECIMAL"):
        return decimal.Decimal(text)
    return text if kind == "STRING" else int(text)


def send():
    with open(OUT + "/serve.out", "wb") as printed, open(OUT + "/serve.log", "wb") as log:
        server = subprocess.Popen([BINARY, "serve", "--data", DATA, "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--commit-interval", "200ms"],
                                  stdout=printed, stderr=log)
    try:
        end = time.monotonic() + 60
        while not any(line.startswith("data") for line in open(OUT + "/serve.out")):
            if server.poll() is not None or time.monotonic() > end:
                raise RuntimeError(open(OUT + "/serve.log").read()[-2000:])
            time.sleep(0.05)
        lines = dict(line.split()[:2] for line in open(OUT + "/serve.out"))
        creds = json.loads(tool("principal", "create", "loader", "--json"))
        tool("sql", "GRANT USE CATALOG ON CATALOG main TO loader; GRANT USE SCHEMA ON SCHEMA main.default TO loader")
        env = {**os.environ, "ZEROBUS_SERVER_ENDPOINT": lines["streams"], "DATABRICKS_WORKSPACE_URL": lines["http"],
               "DATABRICKS_CLIENT_ID": creds["client_id"], "DATABRICKS_CLIENT_SECRET": creds["client_secret"]}
        for kind in VALUES:
            table = "main.default." + name_of(kind)
            tool("sql", f"CREATE TABLE {table} (id BIGINT NOT NULL, k {kind}, v STRING) PARTITIONED BY (k); GRANT SELECT, MODIFY ON TABLE {table} TO loader")
            rows = rows_of(kind)
            for part in (rows[:len(rows) // 2], rows[len(rows) // 2:]):
                tool("ingest", "--table", table, "-", input="\n".join(map(json.dumps, part)), env=env)
                tool("table", "head", table, "-n", "0")  # commits what is durable
        head = json.loads(tool("table", "head", "main.default." + name_of("STRING"), "-n", "10000", "--json"))
        got = collections.Counter(map(tuple, head["rows"]))
        want = collections.Counter((str(r["id"]), r["k"] or None, r["v"]) for r in rows_of("STRING"))
        check("zerobus", "table head", "STRING", len(head["rows"]), None if got == want else f"{got - want} {want - got}")
    finally:
        server.terminate()
        if server.wait(60):
            FAULTS.append("the server ended with an error")


def check(reader, what, kind, rows, fault):
    print(f"{reader:9} {what:18} {kind:15} {rows:5} rows  {'ok' if not fault else 'FAULT ' + str(fault)[:1500]}", flush=True)
    if fault:
        FAULTS.append(f"{reader} {what} {kind}")


def plain(table):
    """Rows of an Arrow table; times as integers, which have no limits."""
    cols = []
    for field in table.schema:
        c = table[field.name]
        if pyarrow.types.is_timestamp(field.type):
            c = c.cast(pyarrow.timestamp("us", field.type.tz)).cast(pyarrow.int64())
        elif pyarrow.types.is_date(field.type):
            c = c.cast(pyarrow.int32())
        cols.append(c.to_pylist())
    return collections.Counter(zip(*cols))


def difference(got, want):
    return None if got == want else f"{(want - got).total()} missing {list(want - got)[:3]}, {(got - want).total()} extra {list(got - want)[:3]}"


def literal(kind, v):
    if kind == "DATE":
        return f"DATE '{EPOCH.date() + datetime.timedelta(days=v)}'"
    if kind == "TIMESTAMP":
        return f"arrow_cast({v}, 'Timestamp(Microsecond, Some(\"UTC\"))')"
    if kind == "TIMESTAMP_NTZ":
        return f"arrow_cast({v}, 'Timestamp(Microsecond, None)')"
    if kind in ("FLOAT", "DOUBLE"):
        return f"arrow_cast('{v!r}', 'Float{32 if kind == 'FLOAT' else 64}')"
    if kind.startswith("DECIMAL"):
        return f"CAST('{v:f}' AS {kind})"
    return "'" + v.replace("'", "''") + "'" if kind == "STRING" else str(v)


def delta_rs(kind, root, want):
    t = deltalake.DeltaTable(root)
    query = deltalake.QueryBuilder().register("t", t)
    run = lambda where: plain(pyarrow.table(query.execute("SELECT id, k, v FROM t" + where)))
    try:
        check("delta-rs", "rows, by dataset", kind, want.total(), difference(plain(t.to_pyarrow_table(columns=["id", "k", "v"])), want))
    except pyarrow.ArrowInvalid as e:
        if not kind.startswith("DECIMAL"):
            raise
        print(f"delta-rs  rows, by dataset   {kind:15} not run: it hands negative decimals to Arrow in a form of its own: {e}")
    check("delta-rs", "rows, by query", kind, want.total(), difference(run(""), want))
    # A filter on the partition column passes over files; it finds what a look at all rows finds.
    fault = None
    for v in {r[1] for r in want}:
        found = collections.Counter({r: n for r, n in want.items() if r[1] == v})
        where = " WHERE k IS NULL" if v is None else f" WHERE k = {literal(kind, v)}"
        fault = fault or difference(run(where), found) and f"{where}: {difference(run(where), found)}"
        above = " WHERE k IS NOT NULL" if v is None else f" WHERE k > {literal(kind, v)}"
        found = collections.Counter({r: n for r, n in want.items() if r[1] is not None and (v is None or r[1] > v)})
        fault = fault or difference(run(above), found) and f"{above}: {difference(run(above), found)}"
    check("delta-rs", "pruning", kind, want.total(), fault)


def duck(kind, root, want):
    """Replays the log in SQL. Values are in the log alone, and files in directories whose names must not matter."""
    con = duckdb.connect()
    adds = con.sql(f"""SELECT json->>'$.add.path', json->>'$.add.partitionValues' FROM
        read_json_objects('{root}/_delta_log/0*.json', format = 'newline_delimited') WHERE (json->'$.add') IS NOT NULL""").fetchall()
    got, fault = collections.Counter(), None
    for path, values in adds:
        file = root + "/" + urllib.parse.unquote(path)
        v = text_of(kind, json.loads(values)["k"])
        columns = [c[0] for c in con.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [file]).fetchall()]
        if columns != ["id", "v"]:
            fault = f"{path} has the columns {columns}"
        for id, text in con.execute("SELECT id, v FROM read_parquet(?, hive_partitioning = false)", [file]).fetchall():
            got[id, v, text] += 1
        directory, _, _ = path.rpartition("/")
        if directory and (json.loads(values)["k"] is None or urllib.parse.unquote(directory) != directory or directory != "k=" + json.loads(values)["k"]):
            fault = f"{path} of {values}"
    check("DuckDB", "rows and paths", kind, want.total(), fault or difference(got, want))


def more_floats(kind, root):
    """Adds what JSON records cannot say: a copy of a file in the partitions of NaN and the infinities."""
    log = sorted(os.listdir(root + "/_delta_log"))
    log = [f for f in log if f.endswith(".json") and f[0].isdigit()]
    add = next(json.loads(line)["add"] for line in open(f"{root}/_delta_log/{log[-1]}") if '"add"' in line)
    lines, added = [{"commitInfo": {"timestamp": 1, "operation": "WRITE"}}], []
    for text in ("NaN", "Infinity", "-Infinity", "-0.0"):
        path = f"k={text}/copy.parquet"
        os.makedirs(f"{root}/k={text}", exist_ok=True)
        shutil.copy(f"{root}/{add['path']}", f"{root}/{path}")
        lines.append({"add": {**add, "path": path, "partitionValues": {"k": text}}})
        added += [float(text)] * json.loads(add["stats"])["numRecords"]
    with open(f"{root}/_delta_log/{int(log[-1][:20]) + 1:020}.json", "w") as f:
        f.writelines(json.dumps(line) + "\n" for line in lines)
    t = deltalake.DeltaTable(root)
    was = collections.Counter(map(repr, (value_of(kind, r["k"]) for r in rows_of(kind))))
    for what, table in (("floats, by dataset", t.to_pyarrow_table()), ("floats, by query", pyarrow.table(deltalake.QueryBuilder().register("t", t).execute("SELECT k FROM t")))):
        got = collections.Counter(map(repr, table["k"].to_pylist()))
        check("delta-rs", what, kind, table.num_rows, difference(got, was + collections.Counter(map(repr, added))))


def main():
    os.makedirs(OUT)
    send()
    for kind in VALUES:
        root = json.loads(tool("table", "describe", "main.default." + name_of(kind), "--json"))["location"]
        want = collections.Counter((r["id"], value_of(kind, r["k"]), r["v"]) for r in rows_of(kind))
        delta_rs(kind, root, want)
        duck(kind, root, want)
        if kind in ("FLOAT", "DOUBLE"):
            more_floats(kind, root)
    print("partition " + ("all ok" if not FAULTS else f"{len(FAULTS)} FAILED: {', '.join(FAULTS)}"))
    sys.stdout.flush()
    os._exit(1 if FAULTS else 0)  # threads of the libraries may still run, and abort the process on the usual way out


main()
