"""Reads the table of server/internal/blackbox with delta-rs, in the order of its commits.

usage: blackbox.py TABLE_DIR

For rows that follow each other, of one stream and with numbers that rise by 1, it prints a line: stream, first number, how
many. A line with ! is something wrong. The last line is JSON: rows, files, bytes, version. Memory is bounded by the largest file.
"""

import glob
import json
import os
import sys

import deltalake
import pyarrow
import pyarrow.compute as pc

PRIME = 61  # see server/internal/blackbox/record.go
SAMPLES = 8


def committed(root):
    """The paths that were added, in the order of commits; none was removed."""
    paths = []
    for log in sorted(glob.glob(root + "/_delta_log/" + "[0-9]" * 20 + ".json")):
        with open(log) as f:
            for line in f:
                action = json.loads(line)
                if "add" in action:
                    paths.append(action["add"]["path"])
    return paths


def wrong_payloads(batch):
    """The positions of payloads that are not those of their rows."""
    key = pc.binary_join_element_wise(pc.cast(batch["stream"], "string"), pc.cast(batch["n"], "string"), "", ".")
    trimmed = pc.utf8_rtrim(batch["payload"], "x")
    length = pc.subtract(pc.binary_length(batch["payload"]), pc.binary_length(key))
    short = pc.subtract(pc.cast(length, "int64"), batch["n"])
    ok = pc.and_(pc.equal(pc.cast(trimmed, "string"), key), pc.equal(pc.multiply(pc.divide(short, PRIME), PRIME), short))
    return pc.indices_nonzero(pc.invert(pc.fill_null(ok, False))).to_pylist()


def write_runs(batch, out):
    rows = batch.num_rows
    if rows == 0:
        return
    stream, n = batch["stream"], batch["n"]
    goes_on = pc.and_(pc.equal(stream.slice(1), stream.slice(0, rows - 1)), pc.equal(n.slice(1), pc.add(n.slice(0, rows - 1), 1)))
    begins = [0] + [i + 1 for i in pc.indices_nonzero(pc.invert(goes_on)).to_pylist()]
    at = pyarrow.array(begins)
    for s, first, begin, end in zip(stream.take(at).to_pylist(), n.take(at).to_pylist(), begins, begins[1:] + [rows]):
        out.write(f"{s} {first} {end - begin}\n")


def main():
    root = sys.argv[1]
    table = deltalake.DeltaTable(root)
    paths = committed(root)
    dataset = table.to_pyarrow_dataset()
    fragments = {os.path.basename(f.path): f for f in dataset.get_fragments()}
    if sorted(fragments) != sorted(os.path.basename(p) for p in paths):
        print(f"! delta-rs sees {len(fragments)} files, and commits added {len(paths)}")
    size = sum(os.path.getsize(root + "/" + p) for p in paths)
    rows = bad = 0
    for path in paths:
        for batch in fragments[os.path.basename(path)].to_batches(columns=["stream", "n", "payload"]):
            rows += batch.num_rows
            for i in wrong_payloads(batch):
                bad += 1
                if bad <= SAMPLES:
                    print(f"! stream {batch['stream'][i]}: record {batch['n'][i]} has the payload {str(batch['payload'][i])[:60]!r}")
            write_runs(batch, sys.stdout)
    if bad > SAMPLES:
        print(f"! {bad} records have another payload than they were sent with")
    print(json.dumps({"rows": rows, "files": len(fragments), "bytes": size, "version": table.version()}))
    # At once: threads of the libraries may still run, and abort the process on the usual way out.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
