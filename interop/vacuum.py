"""Vacuum and check: the files that go are those that delta-rs would delete, versions inside of the retention stay, and the tables of the
whole run are sound.

usage: vacuum.py ZEROBUS_BINARY OUT_DIR

Makes tables with the tool alone on OUT_DIR/vacuum. delta-rs appends to them, compacts and deletes; times in the log and of files are
set back by hand. Then `zerobus table check` reads every table of every data directory below OUT_DIR.
"""

import collections
import glob
import json
import os
import shutil
import subprocess
import sys
import time

import deltalake
import pyarrow

BINARY, ROOT = sys.argv[1], os.path.realpath(sys.argv[2])
OUT = ROOT + "/vacuum"
DATA = OUT + "/data"
DAY = 86400
FAULTS = []
# What delta-rs writes of types that both know.
ROWS = pyarrow.table({
    "id": pyarrow.array(range(5), pyarrow.int64()),
    "k": pyarrow.array(["a", "b", "a b/%", None, "a"]),
    "small": pyarrow.array([1, -2, None, 4, 5], pyarrow.int16()),
    "x": pyarrow.array([1.5, -0.0, None, 1e300, 5e-324], pyarrow.float64()),
    "day": pyarrow.array([0, -1, None, 20000, 1], pyarrow.date32()),
    "at": pyarrow.array([0, -1, None, 1_700_000_000_123_456, 1], pyarrow.timestamp("us", "UTC")),
    "price": pyarrow.array(["1.50", "-0.01", None, "99.99", "0.00"]).cast(pyarrow.decimal128(9, 2)),
    "ok": pyarrow.array([True, False, None, True, True]),
    "text": pyarrow.array(["", "größe", None, "long" * 50, "\U0010ffff" * 40]),
    "tags": pyarrow.array([["x"], [], None, ["y", None], ["z"]], pyarrow.list_(pyarrow.string())),
    "s": pyarrow.array([{"q": 1}, {"q": None}, None, {"q": 4}, {"q": 5}], pyarrow.struct([("q", pyarrow.int32())])),
})
COLUMNS = ("id BIGINT, k STRING, small SMALLINT, x DOUBLE, day DATE, at TIMESTAMP, price DECIMAL(9,2), ok BOOLEAN, text STRING, tags ARRAY<STRING>, "
           "s STRUCT<q: INT>")


def tool(*args, data=DATA, status=0):
    done = subprocess.run([BINARY, *args, "--data", data], capture_output=True, text=True)
    if done.returncode != status:
        raise RuntimeError(f"zerobus {' '.join(args)}: status {done.returncode}: {done.stderr[-1000:]}")
    return done.stdout


def check(reader, what, table, number, fault):
    print(f"{reader:9} {what:34} {table:24} {number:5}  {'ok' if not fault else 'FAULT ' + str(fault)[:1500]}", flush=True)
    if fault:
        FAULTS.append(f"{reader} {what} {table}")


def rows(root, version=None):
    t = deltalake.DeltaTable(root, version=version).to_pyarrow_table()
    return collections.Counter(repr(tuple(sorted(r.items()))) for r in t.to_pylist())


def age(path, days):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.exists(path):
        open(path, "wb").write(b"not needed")
    at = time.time() - days * DAY
    os.utime(path, (at, at))


def tombstones_of(root, version, days):
    """Sets the time of the removes of a version back."""
    path = f"{root}/_delta_log/{version:020}.json"
    lines = [json.loads(line) for line in open(path)]
    for line in lines:
        if "remove" in line:
            line["remove"]["deletionTimestamp"] = int((time.time() - days * DAY) * 1000)
    with open(path, "w") as f:
        f.writelines(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)


def data_files(root):
    return sorted(os.path.relpath(f, root) for f in glob.glob(root + "/**/*", recursive=True) if os.path.isfile(f) and "/_delta_log/" not in f)


def vacuumed(table, *args):
    found = json.loads(tool("table", "vacuum", table, "--json", *args))
    return sorted(f["path"] for f in found["list"])


def one(name, partitioned):
    table = "main.default." + name
    tool("sql", f"CREATE TABLE {table} ({COLUMNS})" + (" PARTITIONED BY (k)" if partitioned else ""))
    root = json.loads(tool("table", "describe", table, "--json"))["location"]
    for _ in range(3):
        deltalake.write_deltalake(root, ROWS, mode="append")
    dt = deltalake.DeltaTable(root)
    dt.optimize.compact()
    first = dt.version()  # the versions before it end with the retention
    tombstones_of(root, first, 8)
    for f in data_files(root):
        age(f"{root}/{f}", 9)
    deltalake.write_deltalake(root, ROWS, mode="append")
    dt = deltalake.DeltaTable(root)
    dt.delete("id >= 3")
    sound = tool("table", "check", table).splitlines()[-1]
    check("zerobus", "table check", table, len(data_files(root)), ": sound; " not in sound and sound)
    orphans = ["left.parquet", "k=zz/left.parquet", "deletion_vector_0.bin"]
    for f in orphans:
        age(f"{root}/{f}", 9)
    age(root + "/new.parquet", 1)
    for f in ("_hidden/x", ".x.crc", "_SUCCESS"):
        age(f"{root}/{f}", 99)

    def listed(hours, full):  # delta-rs names removed files that are gone already, too
        files = deltalake.DeltaTable(root).vacuum(dry_run=True, retention_hours=hours, enforce_retention_duration=False, full=full)
        return sorted(f for f in files if os.path.exists(f"{root}/{f}"))

    # Everything that the latest version does not name: delta-rs asks for no age of it.
    ours, theirs = vacuumed(table, "--dry-run", "--retain", "0s", "--force"), listed(0, True)
    check("delta-rs", "dry run, no retention", table, len(ours), ours != theirs and f"ours {ours}, theirs {theirs}")
    ours, theirs = vacuumed(table, "--dry-run"), listed(168, False)
    check("delta-rs", "dry run, a week", table, len(ours), sorted(theirs + orphans) != ours and f"ours {ours}, theirs {theirs}")
    check("zerobus", "removed files among them", table, len(theirs), not theirs and "none")

    deltalake.DeltaTable(root).create_checkpoint()  # which forgets what has expired
    check("zerobus", "dry run, from a checkpoint", table, len(ours), vacuumed(table, "--dry-run") != ours and "other files")

    last = deltalake.DeltaTable(root).version()
    before = {v: rows(root, v) for v in range(first, last + 1)}
    was = data_files(root)
    gone = vacuumed(table)
    left = sorted(set(was) - set(gone))
    check("zerobus", "vacuum", table, len(gone), (gone != ours or data_files(root) != left) and f"listed {ours}, deleted {gone}, left {data_files(root)}")
    for v, want in before.items():
        check("delta-rs", f"rows of version {v} afterwards", table, want.total(), rows(root, v) != want and "other rows")
    try:
        rows(root, first - 1)
        check("delta-rs", "a version before the retention", table, 0, "it can be read")
    except Exception:
        check("delta-rs", "a version before the retention", table, 0, None)
    check("zerobus", "vacuum again", table, 0, vacuumed(table))
    ours = vacuumed(table, "--retain", "0s", "--force")
    theirs = listed(0, True)
    check("delta-rs", "after one without retention", table, len(ours), theirs and f"left {theirs}" or rows(root) != before[last] and "other rows")


def checked(data):
    """Checks all tables of a data directory."""
    try:
        tables = [t["name"] for t in json.loads(tool("table", "list", "--json", data=data))]
    except RuntimeError as e:
        check("zerobus", "table list", os.path.relpath(data, ROOT), 0, e)
        return
    files, figures, unchecked = 0, 0, []
    faults = []
    for t in tables:
        done = subprocess.run([BINARY, "table", "check", t, "--json", "--data", data], capture_output=True, text=True)
        if not done.stdout:
            faults.append(f"{t}: {done.stderr}")
            continue
        report = json.loads(done.stdout)
        files += report["files"]
        figures += next(c["looked_at"] for c in report["checks"] if c["check"] == "statistics")
        faults += [f"{t}: {f}" for f in report["faults"]]
        unchecked += [f"{t}: {u}" for u in report["not_checked"]]
        if done.returncode != (1 if report["faults"] else 0) or report["sound"] != (not report["faults"] and not report["not_checked"]):
            faults.append(f"{t}: status {done.returncode}, sound {report['sound']}")
    check("zerobus", f"table check, {files} files, {figures} figures", os.path.relpath(data, ROOT), len(tables), faults and f"{len(faults)}: {faults[:5]}")
    for u in unchecked:
        print("zerobus   not checked: " + u)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    os.makedirs(OUT)
    one("kept", False)
    one("kept_by", True)
    for data in sorted({os.path.realpath(os.path.dirname(f)) for f in glob.glob(ROOT + "/**/catalog.db", recursive=True)}):
        checked(data)
    print("vacuum " + ("all ok" if not FAULTS else f"{len(FAULTS)} FAILED: {', '.join(FAULTS)}"))
    sys.stdout.flush()
    os._exit(1 if FAULTS else 0)  # threads of the libraries may still run, and abort the process on the usual way out


main()
