"""Tables of all types that the server stores, and what every reader must find in them.

usage: tables.py send ZEROBUS_BINARY OUT_DIR

send creates the tables of TABLES and loads each with `zerobus ingest` in ROUNDS parts, so that each has several versions. The
rows come from the name of the table alone: whoever reads it makes them again. All rows of a table go through one stream at a
time and in order, so each version of a table has the first rows that were sent, as many as it has.

A table that the server refuses to make is a row of the report that says so; `later` marks those of which that is no failure.
"""

import base64
import collections
import dataclasses
import datetime
import decimal
import glob
import json
import os
import random
import re
import struct
import subprocess
import sys
import time

ROUNDS, ROWS = 4, 250  # rows of one round
EPOCH = datetime.datetime(1970, 1, 1)
PRECISE = decimal.Context(prec=60)


# Types. A kind is a tuple: its name, and what it is made of.

def kind_of(text):
    """The kind of a type as DDL has it."""
    kind, rest = _kind(text.strip())
    assert not rest, text
    return kind


def _kind(text):
    name = re.match(r"\w+", text).group().lower()
    rest = text[len(name):].lstrip()
    if name == "array":
        element, rest = _kind(rest.removeprefix("<"))
        return (name, element), rest.lstrip().removeprefix(">")
    if name == "map":
        key, rest = _kind(rest.removeprefix("<"))
        value, rest = _kind(rest.lstrip().removeprefix(",").lstrip())
        return (name, key, value), rest.lstrip().removeprefix(">")
    if name == "struct":
        fields, rest = [], rest.removeprefix("<")
        while not rest.startswith(">"):
            field, rest = rest.split(":", 1)
            kind, rest = _kind(rest.lstrip())
            fields.append((field.strip(), kind))
            rest = rest.lstrip().removeprefix(",").lstrip()
        return (name, tuple(fields)), rest[1:]
    parameters = re.match(r"\(([\d, ]+)\)", rest)
    if not parameters:
        return (name,), rest
    return (name, *map(int, parameters.group(1).split(","))), rest[parameters.end():]


INTEGERS = {"tinyint": 8, "smallint": 16, "int": 32, "bigint": 64}
FIRST_DAY, LAST_DAY = -719162, 2932896  # of the years 1 and 9999
FIRST_TIME, LAST_TIME = FIRST_DAY * 86_400_000_000, (LAST_DAY + 1) * 86_400_000_000 - 1
STRINGS = ["", "plain", "ünïcödé 🎈", 'quote " \' ` backslash \\ newline \n', " padded ", "null", "%", "x" * 1000, "\uffff" * 40,
           "\U0010ffff" * 40, "x" * 31 + "\U0010ffff" * 3, "a" * 32, "a" * 33, "\x7f\x01", "e\u0301", "%20/=:"]


def extremes(kind):
    """Values at the edges of a kind, as JSON records say them."""
    name = kind[0]
    if name in INTEGERS:
        bits = INTEGERS[name]
        return [-2**(bits - 1), 2**(bits - 1) - 1, 0, -1] + ([2**53 + 1, -2**53 - 1] if bits == 64 else [])
    if name == "decimal":
        whole = decimal.Decimal(10**kind[1] - 1).scaleb(-kind[2], PRECISE)
        least = decimal.Decimal(1).scaleb(-kind[2], PRECISE)
        return [f"{v:f}" for v in (whole, whole.copy_negate(), least, least.copy_negate(), decimal.Decimal(0))]
    if name in ("char", "varchar"):
        return ["", "ü" * kind[1], "a" * kind[1]]
    return {
        "boolean": [True, False],
        "float": [0.0, -0.0, 1.5, -3.4028234663852886e38, 3.4028234663852886e38, 2.0**-149, 0.1],
        "double": [0.0, -0.0, 5e-324, 1.7976931348623157e308, -1.7976931348623157e308, -2.5, 0.1],
        "string": STRINGS,
        "binary": ["", base64.b64encode(bytes(range(256))).decode(), base64.b64encode(b"\xff" * 40).decode(), "AA=="],
        "date": [0, FIRST_DAY, LAST_DAY, -1, -141428, -141427],  # and where the Gregorian calendar began
        "timestamp": [0, -1, FIRST_TIME, LAST_TIME, 978307260000001, -12219292800000001, -2208988800000000],
        "timestamp_ntz": [0, -1, FIRST_TIME, LAST_TIME, 978307260000001, -12219292800000001, 1_711_850_400_000_000],
    }[name]


def random_value(kind, rnd, depth=0):
    name = kind[0]
    if name == "array":
        return [None if rnd.random() < 0.1 else random_value(kind[1], rnd, depth + 1) for _ in range(rnd.choice([0, 1, 2, 5]))]
    if name == "map":
        keys = [key_text(random_value(kind[1], rnd, depth + 1)) for _ in range(rnd.choice([0, 1, 2, 4]))]
        return {k: None if rnd.random() < 0.1 else random_value(kind[2], rnd, depth + 1) for k in keys}
    if name == "struct":
        fields = {f: None if rnd.random() < 0.1 else random_value(k, rnd, depth + 1) for f, k in kind[1]}
        return {f: v for f, v in fields.items() if v is not None or rnd.random() < 0.5}  # NULL is an absent key, too
    if rnd.random() < 0.1:
        return rnd.choice(extremes(kind))
    if name in INTEGERS:
        return rnd.randint(-2**(INTEGERS[name] - 1), 2**(INTEGERS[name] - 1) - 1)
    if name == "decimal":
        digits = rnd.randint(0, 10**rnd.randint(1, kind[1]) - 1) * rnd.choice([-1, 1])
        return f"{decimal.Decimal(digits).scaleb(-kind[2], PRECISE):f}"
    if name in ("char", "varchar"):
        return "".join(rnd.choice("abü€🎈") for _ in range(rnd.randint(0, kind[1])))
    return {
        "boolean": lambda: rnd.random() < 0.5,
        "float": lambda: float32(rnd.uniform(-1e6, 1e6)),
        "double": lambda: rnd.uniform(-1e12, 1e12),
        "string": lambda: "".join(rnd.choice("abcdef ghü€🎈") for _ in range(rnd.randint(0, 40))),
        "binary": lambda: base64.b64encode(rnd.randbytes(rnd.randint(0, 20))).decode(),
        "date": lambda: rnd.randint(-25_000, 25_000),
        "timestamp": lambda: rnd.randint(-2 * 10**15, 2 * 10**15),
        "timestamp_ntz": lambda: rnd.randint(-2 * 10**15, 2 * 10**15),
    }[name]()


def key_text(value):
    """A key of a map as the key of a JSON object."""
    return value if isinstance(value, str) else json.dumps(value)


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def decimal_text(value, scale):
    return f"{decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-scale), context=PRECISE):f}"


def micros(t):
    if t.tzinfo is not None:
        t = t.astimezone(datetime.timezone.utc).replace(tzinfo=None)
    d = t - EPOCH
    return (d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds


def canonical(kind, value):
    """What stands for a value in comparisons, made from what a JSON record says or from what a Python reader found."""
    name = kind[0]
    if value is None:
        return None
    if name == "array":
        return [canonical(kind[1], v) for v in value]
    if name == "map":  # an object of a record, pairs, or entries
        if isinstance(value, dict):
            value = value.items()
        pairs = [(e["key"], e["value"]) if isinstance(e, dict) else e for e in value]
        return sorted([canonical(kind[1], key_value(kind[1], k)), canonical(kind[2], v)] for k, v in pairs)
    if name == "struct":
        return [canonical(k, value.get(f)) for f, k in kind[1]]
    if name == "float":
        return float32(value)
    if name == "double":
        return float(value)
    if name == "decimal":
        return decimal_text(value, kind[2])
    if isinstance(value, (bytes, bytearray, memoryview)):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime.datetime):
        return micros(value)
    if isinstance(value, datetime.date):
        return (value - EPOCH.date()).days
    return value


def key_value(kind, key):
    if isinstance(key, str) and kind[0] not in ("string", "char", "varchar", "binary", "decimal"):
        return json.loads(key)
    return key


def partition_value(kind, text):
    """A value of partitionValues in the log, as a record says it."""
    name = kind[0]
    if text is None or text == "":
        return None
    if name == "boolean":
        return text == "true"
    if name in INTEGERS:
        return int(text)
    if name in ("float", "double"):
        return float(text)
    if name == "date":
        return datetime.date.fromisoformat(text)
    if name in ("timestamp", "timestamp_ntz"):
        return datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    return text.encode() if name == "binary" else text


# Tables.

@dataclasses.dataclass
class Table:
    name: str
    columns: list  # (name, type, NOT NULL)
    partitions: list = dataclasses.field(default_factory=list)
    few: dict = dataclasses.field(default_factory=dict)  # columns that have these values only
    later: bool = False
    codec: str = ""  # of the data files; the server's own if empty

    def __post_init__(self):
        self.kinds = {name: kind_of(kind) for name, kind, _ in self.columns}

    def ddl(self):
        columns = ", ".join(f"`{name}` {kind}{' NOT NULL' if required else ''}" for name, kind, required in self.columns)
        by = f" PARTITIONED BY ({', '.join(f'`{p}`' for p in self.partitions)})" if self.partitions else ""
        codec = f" TBLPROPERTIES ('delta.parquet.compression.codec' = '{self.codec}')" if self.codec else ""
        return f"CREATE TABLE main.default.{self.name} ({columns}) USING DELTA{by}{codec}"

    def rows(self):
        """The records, in the order in which they are sent. Every row has its number as `id`."""
        rnd = random.Random(self.name)
        for i in range(ROUNDS * ROWS):
            round, at = divmod(i, ROWS)
            row = {"id": i}
            for name, kind in list(self.kinds.items())[1:]:
                required = dict((n, r) for n, _, r in self.columns)[name]
                if name in self.few:
                    row[name] = rnd.choice(self.few[name])
                elif name == "nothing":
                    row[name] = None
                elif name == "gap":  # NULL in all files of one round
                    row[name] = None if round == 1 else random_value(kind, rnd)
                elif at < 16 and kind[0] not in ("array", "map", "struct"):
                    row[name] = extremes(kind)[at % len(extremes(kind))]
                elif not required and (at == 17 or rnd.random() < 0.1):
                    row[name] = None
                else:
                    row[name] = random_value(kind, rnd)
            yield row

    def key(self, row):
        """A row as text that is equal when the rows are."""
        return json.dumps([canonical(k, row.get(n)) for n, k in self.kinds.items()])

    def expected(self):
        keys = []
        for row in self.rows():
            for p in self.partitions:  # an empty string is NULL in the partition values of the log
                if row[p] == "":
                    row[p] = None
            keys.append(self.key(row))
        return keys


SCALARS = [("b", "BOOLEAN"), ("i8", "TINYINT"), ("i16", "SMALLINT"), ("i32", "INT"), ("i64", "BIGINT"), ("f32", "FLOAT"),
           ("f64", "DOUBLE"), ("dec", "DECIMAL(20,4)"), ("s", "STRING"), ("bin", "BINARY"), ("day", "DATE"), ("ts", "TIMESTAMP"),
           ("ntz", "TIMESTAMP_NTZ")]
ID = ("id", "BIGINT", True)
DECIMALS = ["1,0", "5,5", "9,2", "10,3", "18,18", "19,0", "38,0", "38,38"]

TABLES = [
    Table("scalars", [ID] + [(n, k, False) for n, k in SCALARS] + [("nothing", "INT", False), ("gap", "STRING", False)]),
    Table("required", [ID] + [(n, k, True) for n, k in SCALARS], codec="snappy"),
    Table("decimals", [ID] + [("d" + d.replace(",", "_"), f"DECIMAL({d})", False) for d in DECIMALS], codec="gzip"),
    Table("bounded", [ID, ("v", "VARCHAR(7)", False), ("w", "VARCHAR(300)", True)]),
    Table("no_ntz", [ID, ("ts", "TIMESTAMP", False), ("s", "STRING", False)], codec="uncompressed"),
    Table("odd_names", [ID, ("select", "INT", False), ("größe", "DOUBLE", False), ("a-b", "STRING", False), ("_x", "DATE", False)]),
    Table("wide", [ID] + [(f"c{i}", SCALARS[i % len(SCALARS)][1], False) for i in range(60)]),
    Table("nested", [ID, ("a", "ARRAY<INT>", False), ("m", "MAP<STRING, DOUBLE>", False),
                     ("st", "STRUCT<x: INT, y: STRING, t: TIMESTAMP, d: DECIMAL(10,2)>", False), ("after", "STRING", False)]),
    Table("deep", [ID, ("aa", "ARRAY<ARRAY<STRING>>", False), ("ast", "ARRAY<STRUCT<x: BIGINT, b: BINARY>>", False),
                   ("ms", "MAP<INT, STRUCT<p: DATE, q: ARRAY<TIMESTAMP_NTZ>>>", False),
                   ("ss", "STRUCT<in: STRUCT<leaf: INT, more: MAP<STRING, STRING>>, f: FLOAT>", False)]),
    Table("by_city", [ID, ("city", "STRING", False), ("v", "DOUBLE", False)], partitions=["city"],
          few={"city": ["Köln", "a b", "%", "a/b", "x=y", "", None, "c:d", "#?&+", "'\"", "e\u0301", "%20"]}),
    # No negative DECIMAL: delta-rs hands it to Arrow in a form of its own, see partition.py.
    Table("by_kinds", [ID, ("day", "DATE", False), ("s", "STRING", False), ("b", "BOOLEAN", False), ("n", "SMALLINT", False),
                       ("dec", "DECIMAL(6,2)", False), ("at", "TIMESTAMP", False)], partitions=["day", "b", "n", "dec", "at"],
          few={"day": [0, -1, FIRST_DAY, LAST_DAY], "b": [True, False, None], "n": [-7, 7], "dec": ["1.50", "0.00", None],
               "at": [0, 978307260000001, -1]}),
]


# Sending.

class Tool:
    """The tool on a data directory, and principals that may write tables."""

    def __init__(self, binary, out):
        self.binary, self.data = binary, out + "/data"

    def __call__(self, *args, **options):
        p = subprocess.run([self.binary, *args, "--data", self.data], capture_output=True, text=True, **options)
        if p.returncode:
            raise RuntimeError(f"{' '.join(args)[:200]}: {p.stderr.strip()}")
        return p.stdout

    def location(self, table):
        return json.loads(self("table", "describe", "main.default." + table, "--json"))["location"]

    def writer(self, table, name=""):
        """The environment of a new principal that may write the table."""
        made = json.loads(self("principal", "create", name or "writer-of-" + table, "--json"))
        to = f"TO `{made['client_id']}`"
        self("sql", f"GRANT USE CATALOG ON CATALOG main {to}; GRANT USE SCHEMA ON SCHEMA main.default {to}; "
                    f"GRANT SELECT, MODIFY ON TABLE main.default.{table} {to}")
        return os.environ | {"DATABRICKS_CLIENT_ID": made["client_id"], "DATABRICKS_CLIENT_SECRET": made["client_secret"]}


def versions(root):
    return len(glob.glob(root + "/_delta_log/" + "[0-9]" * 20 + ".json"))


def wait_until(what, condition, limit=60):
    """Waits for what the server does on its own; a server that does not do it is an error."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError(f"{what}: not within {limit} s")
        time.sleep(0.02)


def refused_file(out):
    return out + "/refused.json"


def send(binary, out):
    """Makes and loads all tables. Returns those that the server would not make, with its words."""
    tool, refused, rows = Tool(binary, out), {}, 0
    for table in TABLES:
        try:
            tool("sql", table.ddl())
            env = tool.writer(table.name)
            root, lines = tool.location(table.name), [json.dumps(r, ensure_ascii=r["id"] % 3 == 0) for r in table.rows()]
            for i in range(ROUNDS):
                before = versions(root)
                tool("ingest", "--table", "main.default." + table.name, "-", input="\n".join(lines[i * ROWS:(i + 1) * ROWS]), env=env)
                wait_until(f"a commit of {table.name}", lambda: versions(root) > before)
            rows += len(lines)
        except RuntimeError as e:
            refused[table.name] = str(e).split("zerobus: ")[-1]
    with open(refused_file(out), "w") as f:
        json.dump(refused, f)
    print(f"tables    {len(TABLES) - len(refused)} tables, {rows} rows acknowledged", flush=True)
    return refused


# Judging and reporting.

class Report:
    """Results by reader and check. A line of the table is one check over all its tables."""

    def __init__(self):
        self.lines = {}
        self.faults = []

    def note(self, reader, version, check, table, rows, fault=None):
        line = self.lines.setdefault((reader, version, check), [[], 0, []])
        line[0].append(table)
        line[1] += rows
        if fault:
            line[2].append(table)
            self.faults.append(f"{reader} {version}: {check} of {table}: {fault}")

    def refused(self, tables):
        """Takes a note of tables that the server did not make or load."""
        for table in TABLES:
            if table.name in tables:
                print(f"not run   {table.name}: {tables[table.name]}")
                if not table.later:
                    self.note("zerobus", "", "made and loaded", table.name, 0, tables[table.name])

    def finish(self):
        """Prints the table, and returns the exit status."""
        head = ("reader", "version", "check", "tables", "rows", "result")
        lines = [head] + [(reader, version, check, str(len(set(tables))), str(rows), f"FAILED: {' '.join(sorted(set(bad)))}" if bad else "ok")
                          for (reader, version, check), (tables, rows, bad) in self.lines.items()]
        for fault in self.faults:
            print("FAULT     " + fault[:2000])
        width = [max(len(line[i]) for line in lines) for i in range(len(head))]
        for line in lines:
            print("  ".join(c.rjust(w) if i in (3, 4) else c.ljust(w) for i, (c, w) in enumerate(zip(line, width))).rstrip())
        bad = sum(1 for line in self.lines.values() if line[2])
        print(f"{len(self.lines) - bad} passed, {bad} failed", flush=True)
        return 1 if self.faults else 0


def difference(got, want):
    """What is wrong with rows, as text; None when nothing is."""
    got, want = collections.Counter(got), collections.Counter(want)
    if got == want:
        return None
    missing, extra = want - got, got - want
    near = lambda c: min(c)[:600] if c else "none"
    return f"{missing.total()} missing, {extra.total()} extra; missing {near(missing)}; extra {near(extra)}"


if __name__ == "__main__":
    assert sys.argv[1] == "send"
    send(*sys.argv[2:4])
