"""Helper of bench/flights/run.

flights.py convert SOURCE.parquet TARGET.ndjson    date becomes integer microseconds, as the protocol's JSON has it
flights.py check SOURCE.parquet TABLES_DIR OUT_DIR compares count, sum of delay and distinct airports of each table, read by delta-rs,
                                                   with the source, and prints the medians of the runs
"""

import glob
import json
import statistics
import sys

import deltalake
import pyarrow
import pyarrow.compute as pc
import pyarrow.parquet


def convert(source, target):
    table = pyarrow.parquet.read_table(source)
    date = table["date"].cast(pyarrow.timestamp("us")).cast(pyarrow.int64())
    with open(target, "w") as f:
        columns = [date, table["delay"], table["distance"], table["origin"], table["destination"]]
        for batch in pyarrow.table(columns, names=["date", "delay", "distance", "origin", "destination"]).to_batches(100_000):
            f.writelines(json.dumps(row, separators=(",", ":")) + "\n" for row in batch.to_pylist())


def facts(table):
    airports = pc.unique(pyarrow.concat_arrays(
        [c for name in ("origin", "destination") for c in table[name].cast(pyarrow.string()).chunks]))
    return {"count": table.num_rows, "sum_of_delay": pc.sum(table["delay"]).as_py(), "distinct_airports": len(airports)}


def check(source, tables, out):
    want = facts(pyarrow.parquet.read_table(source))
    print("source   ", want)
    for path in sorted(glob.glob(tables + "/flights_*")):
        t = deltalake.DeltaTable(path)
        got = facts(t.to_pyarrow_table())
        size = sum(pyarrow.table(t.get_add_actions()).column("size_bytes").to_pylist())
        print(path.rsplit("/", 1)[1], got, f"version {t.version()}, {size:,} bytes of Parquet")
        assert got == want, "the table is not the source"
    runs = [json.load(open(path)) for path in sorted(glob.glob(out + "/run-*.json"))]
    for r in runs:
        r["committed_records_per_second"] = r["records"] / r["committed_seconds"]
    for key in sorted({k for r in runs for k in r if isinstance(r[k], (int, float)) and ("per_second" in k or "seconds" in k)}):
        values = [r[key] for r in runs]
        print(f"{key}: median {statistics.median(values):,.2f}, from {min(values):,.2f} to {max(values):,.2f} in {len(values)} runs")


{"convert": convert, "check": check}[sys.argv[1]](*sys.argv[2:])
