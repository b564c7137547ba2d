"""Reads the random tables of server/internal/property with delta-rs and compares every value with what was sent.

usage: property.py OUT_DIR

Of each table

- columns, NOT NULL and comments are those of the statement, and every row that delta-rs reads (scan, with its own Parquet reader) is
  one that was sent, and the other way round;
- the files, read one by one by pyarrow in the order of the commits, have each stream's rows in the order in which they were sent, and
  the rows of streams that followed each other in that order, too; in a partitioned table so has each partition;
- num_records, null_count, min and max of get_add_actions hold for the rows of each file, and are there and exact where the server's
  documentation says so;
- random predicates find the same rows when delta-rs may pass over files and row groups and when it cannot.

Columns that delta-rs cannot read, see unreadable, are not in its scan; they are compared by the files alone. Of some tables the
expectations are then damaged in all these respects, and each damage must be found.
"""

import collections
import concurrent.futures
import datetime
import decimal
import glob
import json
import multiprocessing
import os
import random
import sys
import urllib.parse

import deltalake
import pyarrow as pa
import pyarrow.parquet

import forms
import skipping
from forms import Fault, check, compare, key, rows_of, select

DAMAGED_IN = 50  # one table of so many


def unreadable(kind, within=False):
    """Whether delta-rs 1.6.6 fails to read the type: a STRUCT in an ARRAY or MAP, with a member that is a STRUCT NOT NULL with members
    NOT NULL, or a VARIANT NOT NULL. Where the outer struct is NULL it finds "unmasked nulls", in tables that it wrote itself as well."""
    if isinstance(kind, str):
        return False
    if kind["type"] == "struct":
        return any(within and not f["nullable"] and hard(f["type"]) or unreadable(f["type"], within) for f in kind["fields"])
    return unreadable(kind["elementType" if kind["type"] == "array" else "valueType"], True)


def hard(kind):
    if isinstance(kind, str):
        return kind == "variant"
    return kind["type"] == "struct" and any(not f["nullable"] or hard(f["type"]) for f in kind["fields"])


# Order.

def partition_form(kind, text):
    """The form of a value of partitionValues, as PROTOCOL.md's "Partition Value Serialization" has it."""
    if text is None or text == "":
        return None
    if kind == "boolean":
        return "b:" + text
    if kind in ("byte", "short", "integer", "long"):
        return {"byte": "i8:", "short": "i16:", "integer": "i32:", "long": "i64:"}[kind] + text
    if kind in ("float", "double"):
        number = pa.array([float(text)], pa.float32() if kind == "float" else pa.float64())
        return forms.leaves(number)[0]
    if kind.startswith("decimal"):
        return f"dec{kind[7:]}:{int(decimal.Decimal(text).scaleb(int(kind[8:-1].split(',')[1]), forms.PRECISE))}"
    if kind == "date":
        return f"date:{(datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days}"
    if kind.startswith("timestamp"):
        check(text.endswith("Z") == (kind == "timestamp"), text)
        d = datetime.datetime.fromisoformat(text.removesuffix("Z")) - datetime.datetime(1970, 1, 1)
        return f"{'ts' if kind == 'timestamp' else 'ntz'}:{(d.days * 86400 + d.seconds) * 1_000_000 + d.microseconds}"
    return "s:" + text


File = collections.namedtuple("File", "path table rows sent live")


def files_of(root, case):
    """The files in the order of the commits: the Arrow table without the partition columns, whole rows, whether the file has rows as they
    were sent and not as they were rearranged later, and whether it is in the table still."""
    fields, log = case["schema"]["fields"], []
    for path in sorted(glob.glob(glob.escape(root) + "/_delta_log/" + "[0-9]" * 20 + ".json")):
        with open(path) as f:
            log += map(json.loads, f)
    removed = {action["remove"]["path"] for action in log if "remove" in action}
    stored = [f for f in fields if f["name"] not in case["partitions"]]
    for add in (action["add"] for action in log if "add" in action):
        table = pyarrow.parquet.read_table(root + "/" + urllib.parse.unquote(add["path"]), partitioning=None)
        inner = iter(zip(*rows_of(table, stored)))
        values = {f["name"]: partition_form(f["type"], add["partitionValues"][f["name"]]) for f in fields if f["name"] in case["partitions"]}
        columns = [[values[f["name"]]] * table.num_rows if f["name"] in values else next(inner) for f in fields]
        yield File(add["path"], table, [list(row) for row in zip(*columns)], add["dataChange"], add["path"] not in removed)


def by_partition(rows, columns):
    parts = collections.defaultdict(list)
    for row in rows:
        parts[key([row[i] for i in columns])].append(key(row))
    return parts


def check_order(case, rows):
    fields = [f["name"] for f in case["schema"]["fields"]]
    columns = [fields.index(p) for p in case["partitions"]]
    got = by_partition(rows, columns)
    if not case["together"]:
        want = by_partition([row for s in case["streams"] for row in s["rows"]], columns)
        for part in want:
            check(got[part] == want[part], f"partition {part}: the rows are not in the order of streams that followed each other")
        return
    for n, s in enumerate(case["streams"]):
        for part, want in by_partition(s["rows"], columns).items():
            left = iter(got[part])
            check(all(row in left for row in want), f"partition {part}: the rows of stream {n} are not in their order")


# Cases.

Found = collections.namedtuple("Found", "rows values bounds predicates skipping unread damages")


def sent_variants(value):
    if isinstance(value, str):
        return forms.sent_variant(value[2:]) if value.startswith("v:") else value
    if isinstance(value, list):
        return [sent_variants(v) for v in value]
    if isinstance(value, dict):
        return {k: sent_variants(v) for k, v in value.items()}
    return value


def judge(case, out, spoil=lambda actions: None):
    """Reads one table, and raises what is wrong with it. spoil may change what delta-rs says of the files."""
    fields = case["schema"]["fields"]
    want = [row for s in case["streams"] for row in s["rows"]]
    root = f"{out}/{case['path']}"
    table = deltalake.DeltaTable(root)
    check(json.loads(table.schema().to_json()) == case["schema"], "the columns are", table.schema().to_json(), "expected", json.dumps(case["schema"]))
    check(table.metadata().partition_columns == case["partitions"], "partition columns are", table.metadata().partition_columns)

    readable = [i for i, f in enumerate(fields) if not unreadable(f["type"])]
    if readable:
        chosen = [fields[i] for i in readable]
        compare("delta-rs", rows_of(pa.table(table.scan(columns=[f["name"] for f in chosen])), chosen), select(want, readable))
    actions, got, bounds = skipping.add_actions(table), [], 0
    spoil(actions)
    for file in files_of(root, case):
        got += file.rows if file.sent else []
        check(file.live == (file.path in actions), file.path, "is no file to delta-rs, or one that was removed")
        if file.live:
            bounds += skipping.check_statistics(case, file.path, file.table, actions.pop(file.path))
    check(not actions, "delta-rs knows files that no commit added:", list(actions))
    compare("files", got, want)
    check_order(case, got)
    rnd = random.Random(case["seed"])
    of = list(skipping.scalars([fields[i] for i in readable], select(want, readable)))
    skips = [skipping.check_predicate(table, case, rnd, readable, of) for _ in range(2)] if of and want else []
    return Found(len(want), sum(map(count, want)), bounds, len(skips), sum(skips), len(fields) - len(readable), 0)


def count(value):
    """How many values there are in a value, NULL and those of keys included."""
    if isinstance(value, dict):
        return sum(map(count, value["s"] if "s" in value else [v for pair in value["m"] for v in pair])) or 1
    return sum(map(count, value)) or 1 if isinstance(value, list) else 1


def damages(case):
    """Expectations that the table does not meet: a word for each, the case, and what is done to the actions."""
    def damaged():
        return json.loads(json.dumps(case))

    def rows_with(c):
        return max((s["rows"] for s in c["streams"]), key=len)

    nothing = lambda actions: None
    if rows := rows_with(c := damaged()):
        rows.pop()
        yield "a row that was not sent", c, nothing
    if rows := rows_with(c := damaged()):
        rows.append(rows[0])
        yield "a row that is missing", c, nothing
    if rows := rows_with(c := damaged()):
        rows[0][0] = "i64:0" if rows[0][0] is None else None
        yield "another value", c, nothing
    rows, all_rows = rows_with(c := damaged()), collections.Counter(key(r) for s in case["streams"] for r in s["rows"])
    if len(rows) > 1 and not case["partitions"] and all(all_rows[key(r)] == 1 for r in (rows[0], rows[-1])):
        rows[0], rows[-1] = rows[-1], rows[0]
        yield "another order", c, nothing
    c = damaged()
    c["schema"]["fields"][-1]["metadata"]["comment"] = "another"
    yield "another comment", c, nothing
    for which, by in (("min", 10**6), ("max", -10**6), ("null_count", 1), ("num_records", 1)):
        def spoil(actions, which=which, by=by):
            for action in actions.values():
                for name, value in action.items():
                    if name.split(".")[0] == which and isinstance(value, int):
                        action[name] += by

        actions = skipping.add_actions(deltalake.DeltaTable(f"{case['out']}/{case['path']}"))
        before = repr(actions)
        spoil(actions)
        if repr(actions) != before:
            yield f"another {which}", case, spoil


def try_judge(line, out):
    case = json.loads(line)
    case["out"] = out
    if '"variant"' in json.dumps(case["schema"]):
        for s in case["streams"]:
            s["rows"] = sent_variants(s["rows"])
    try:
        found = judge(case, out)
    except Exception as e:  # a reader that gives up is a finding like any other
        return None, f"{case['ddl']}\n{type(e).__name__}: {str(e)[:4000]}\nrepeat it: make property CASES=1 SEED={case['seed']}"
    noticed = 0
    for what, wrong, spoil in damages(case) if case["seed"] % DAMAGED_IN == 0 else []:
        try:
            judge(wrong, out, spoil)
            return None, f"{case['ddl']}\nexpectations with {what} are met: the check does not see it\nrepeat it: make property CASES=1 SEED={case['seed']}"
        except Fault:
            noticed += 1
    return found._replace(damages=noticed), None


def main(out):
    with open(out + "/cases.ndjson") as f:
        lines = f.readlines()
    totals, faults = Found(*[0] * len(Found._fields)), 0
    # Processes that are begun anew: delta-rs has threads, which do not live on in a fork.
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn")) as pool:
        for n, (found, fault) in enumerate(pool.map(try_judge, lines, [out] * len(lines), chunksize=10), 1):
            if fault:
                faults += 1
                print("FAULT      " + fault, flush=True)
            else:
                totals = Found(*map(sum, zip(totals, found)))
            if n % 500 == 0:
                print(f"property   {n:,} of {len(lines):,} tables read, {faults} faults", flush=True)
    print(f"delta-rs   {deltalake.__version__}: {totals.bounds:,} bounds of files; {totals.predicates:,} predicates, {totals.skipping:,} of which pass over files; "
          f"{totals.unread} columns read by pyarrow {pa.__version__} alone; {totals.damages} damages found")
    print(f"property   {len(lines):,} tables, {totals.rows:,} rows, {totals.values:,} values: {f'{faults} tables FAILED' if faults else 'equal'}", flush=True)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
