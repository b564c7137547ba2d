"""Tables that delta-rs has made, outside of the data directory: our server appends to them while delta-rs does.

usage: external.py ZEROBUS_BINARY OUT_DIR

For each table: it is registered by its location, by SQL or over Unity Catalog's REST API; the tool and delta-rs append at the same time;
the server is killed with rows that are acknowledged and not committed; DROP TABLE leaves the files, and the table is registered
again. In between and in the end delta-rs finds every row of both once.
"""

import collections
import datetime
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import deltalake
import pyarrow

from serving import Server
from tables import Tool, wait_until

BINARY, OUT = sys.argv[1], sys.argv[2] + "/external"
ROOT = OUT + "/the röot"
STEPS, STEP = 8, 25  # appends of each, and rows of one
PARTS = [None, "a b", "US/East", "100%", "größe"]
AT = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
FAULTS = []


def check(table, what, fault, note=""):
    print(f"external  {table:13} {what:34} {'ok' if not fault else 'FAULT ' + str(fault)[:1500]}{note}", flush=True)
    if fault:
        FAULTS.append(f"{table}: {what}")


def difference(got, want):
    return None if got == want else f"{(want - got).total()} missing {list((want - got))[:3]}, {(got - want).total()} extra {list((got - want))[:3]}"


def counted(location, names):
    """Rows of a table, as delta-rs reads it; times without their zone."""
    t = deltalake.DeltaTable(location)
    if "deletionVectors" in (t.protocol().reader_features or ()):  # which its datasets refuse
        rows = pyarrow.table(deltalake.QueryBuilder().register("t", t).execute("SELECT * FROM t"))
    else:
        rows = t.to_pyarrow_table()
    plain = lambda v: v.replace(tzinfo=None) if isinstance(v, datetime.datetime) else v
    return collections.Counter(tuple(plain(r[n]) for n in names) for r in rows.to_pylist())


class Table:
    """One table, and what was sent to it. Rows of the server and of delta-rs differ in their source."""

    def __init__(self, name, directory=None, partition=None, extra=(), **options):
        self.name, self.root, self.partition, self.extra, self.options = name, f"{ROOT}/{directory or name}", partition, list(extra), options
        self.writers, self.deleted, self.sent = 0, 0, {"delta-rs": 0, "zerobus": 0}
        self.schema = pyarrow.schema([("id", pyarrow.int64()), ("source", pyarrow.string()), ("part", pyarrow.string()), *self.extra])

    def rows(self, source, first, count):
        return [{"id": i, "source": source, "part": PARTS[i % len(PARTS)], **{f: AT for f, _ in self.extra}} for i in range(first, first + count)]

    def append(self, mode="append"):
        """delta-rs appends, or makes the table."""
        rows = self.rows("delta-rs", self.sent["delta-rs"], STEP)
        options = self.options if mode == "error" else {}
        deltalake.write_deltalake(self.root, pyarrow.Table.from_pylist(rows, self.schema), mode=mode, partition_by=[self.partition] if self.partition else None, **options)
        self.sent["delta-rs"] += STEP

    def ingest(self, tool, env):
        """The tool sends rows, and they are acknowledged."""
        rows = self.rows("zerobus", self.sent["zerobus"], STEP)
        micros = lambda at: (at - datetime.datetime(1970, 1, 1)) // datetime.timedelta(microseconds=1)
        tool("ingest", "--table", "main.default." + self.name, "-", input="\n".join(json.dumps(r, default=micros) for r in rows), env=env)
        self.sent["zerobus"] += STEP

    def delete(self, count):
        """delta-rs deletes its first rows."""
        self.deleted = count
        deltalake.DeltaTable(self.root).delete(f"source = 'delta-rs' AND id < {count}")

    def want(self):
        first = {"delta-rs": self.deleted, "zerobus": 0}
        return collections.Counter(tuple(r.values()) for source, n in self.sent.items() for r in self.rows(source, first[source], n - first[source]))

    def got(self):
        return counted(self.root, self.schema.names)

    def url(self):
        return "file://" + urllib.request.pathname2url(self.root)

    def files(self):
        return sorted((os.path.join(d, f), os.path.getsize(os.path.join(d, f))) for d, _, fs in os.walk(self.root) for f in fs)


def checkpointed():
    """A table whose beginning is in a checkpoint of delta-rs alone."""
    t = Table("checkpointed")
    t.append("error")
    for _ in range(3):
        t.append()
    deltalake.DeltaTable(t.root).create_checkpoint()
    for version in range(3):
        os.remove(f"{t.root}/_delta_log/{version:020}.json")
    return t


def made():
    """The tables, by delta-rs."""
    yield checkpointed()
    for t in (
        Table("plain", "plain, 100% größe"), Table("partitioned", partition="part"), Table("ntz", extra=[("at", pyarrow.timestamp("us"))]),
        Table("vectors", configuration={"delta.enableDeletionVectors": "true"}), Table("dated", extra=[("at", pyarrow.timestamp("us", "UTC"))]),
    ):
        try:
            t.append("error")
        except Exception as e:
            check(t.name, "made by delta-rs", None, f": not run, it refuses: {e}")
            continue
        yield t


class Unity:
    """Unity Catalog's REST API, for the administrator."""

    def __init__(self, server):
        lines = dict(line.split()[:2] for line in open(server.out + "/serve.out"))
        self.base, self.token = lines["http"] + "/api/2.1/unity-catalog", open(server.out + "/data/admin.token").read().strip()

    def __call__(self, method, path, body=None):
        request = urllib.request.Request(self.base + path, json.dumps(body).encode() if body else None, {"Authorization": "Bearer " + self.token}, method=method)
        try:
            return 200, json.load(urllib.request.urlopen(request))
        except urllib.error.HTTPError as e:
            return e.code, json.load(e)

    def register(self, table, location):
        return self("POST", "/tables", {"catalog_name": "main", "schema_name": "default", "name": table, "table_type": "EXTERNAL", "data_source_format": "DELTA",
                                        "storage_location": location, "columns": []})


def serve(interval="50ms"):
    return Server(BINARY, OUT, interval, "--external-root", ROOT)


def writer(tool, t):
    t.writers += 1
    return tool.writer(t.name, f"{t.name}-{t.writers}")


def together(t, tool, env):
    """delta-rs and the server append at the same time."""
    errors = []

    def run(step):
        try:
            for _ in range(STEPS):
                step()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=run, args=(step,)) for step in (t.append, lambda: t.ingest(tool, env))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wait_until("the last commit", lambda: errors or t.got().total() >= t.want().total())
    check(t.name, "both append, rows by delta-rs", errors or difference(t.got(), t.want()), f"  {t.want().total()} rows, version {deltalake.DeltaTable(t.root).version()}")


def register(tables, tool, server):
    unity = Unity(server)
    for i, t in enumerate(tables):
        if i % 2:
            status, answer = unity.register(t.name, t.url())
            check(t.name, "registered over REST", None if status == 200 else answer)
        else:
            said = tool("sql", f"CREATE TABLE main.default.{t.name} USING DELTA LOCATION '{t.url()}'")
            check(t.name, "registered by SQL", None if t.root in said else said)
        status, answer = unity("GET", "/tables/main.default." + t.name)
        found = [c["name"] for c in answer.get("columns", [])]
        place = urllib.parse.unquote(answer["storage_location"])
        check(t.name, "type, location and columns", None if (answer["table_type"], place, found) == ("EXTERNAL", "file://" + t.root, t.schema.names) else answer)
        check(t.name, "delta-rs by storage_location", difference(counted(answer["storage_location"], t.schema.names), t.want()))


def killed(tables, tool):
    """Rows that were acknowledged survive a kill, with the table they belong to elsewhere."""
    server = serve("1h").__enter__()
    for t in tables:
        t.ingest(tool, writer(tool, t))
    server.process.send_signal(signal.SIGKILL)
    server.process.wait()
    with serve():
        for t in tables:
            t.append()  # delta-rs goes on while the log is replayed
    for t in tables:
        check(t.name, "after kill -9", difference(t.got(), t.want()), f"  {t.want().total()} rows")


def dropped(tables, tool):
    """DROP TABLE leaves the files; registered again, the table goes on."""
    with serve("1h"):
        for t in tables:
            t.ingest(tool, writer(tool, t))
            said = tool("sql", f"DROP TABLE main.default.{t.name}")
            check(t.name, "DROP says what stays", None if "its files stay at " + t.root in said else said)
            files = t.files()
            check(t.name, "rows after DROP", difference(t.got(), t.want()))
            t.append()
            tool("sql", f"CREATE TABLE main.default.{t.name} LOCATION '{t.root}'")
            t.ingest(tool, writer(tool, t))
            tool("table", "head", "main.default." + t.name, "-n", "0")
            gone = set(files) - set(t.files())
            check(t.name, "files after DROP", gone or None)
        head = json.loads(tool("table", "head", "main.default.plain", "-n", "10000", "--json"))
        plain = next(t for t in tables if t.name == "plain")
        check("plain", "table head", difference(collections.Counter(map(tuple, head["rows"])), collections.Counter((str(i), s, p) for i, s, p in plain.want())))
    for t in tables:
        check(t.name, "registered again", difference(t.got(), t.want()), f"  {t.want().total()} rows")


def refused(tool, server):
    """What is not allowed, and what cannot be written."""
    unity = Unity(server)
    os.symlink(OUT + "/data", ROOT + "/link")
    deltalake.write_deltalake(OUT + "/elsewhere", pyarrow.table({"id": [1]}))
    for what, location, want in (
        ("a link to the data directory", ROOT + "/link/tables", "in the server's data directory"), ("another directory", OUT + "/elsewhere", "is not below"),
        ("..", ROOT + "/../elsewhere", "is not below"), ("encoded ..", "file://" + urllib.request.pathname2url(ROOT) + "/%2e%2e/elsewhere", "is not below"),
        ("the root", ROOT, "is not below"), ("in another table", ROOT + "/partitioned/x", "partitioned"),
    ):
        status, answer = unity.register("refused", location)
        check("", what, None if status == 400 and want in answer["message"] else answer)
    try:
        root = ROOT + "/constrained"
        deltalake.write_deltalake(root, pyarrow.table({"id": [1]}))
        deltalake.DeltaTable(root).alter.add_constraint({"positive": "id > 0"})
    except Exception as e:
        check("constrained", "made by delta-rs", None, f": not run, it refuses: {e}")
        return
    tool("sql", f"CREATE TABLE main.default.constrained LOCATION '{root}'")
    try:
        tool("ingest", "--table", "main.default.constrained", "-", input='{"id":1}', env=tool.writer("constrained"))
        said = "the row was taken"
    except Exception as e:
        said = str(e) + str(getattr(e, "stderr", ""))
    check("constrained", "a stream is refused by the feature", None if "checkConstraints" in said else said)


def main():
    os.makedirs(ROOT)
    tables, tool = list(made()), Tool(BINARY, OUT)
    with serve() as server:
        register(tables, tool, server)
        for t in tables:
            together(t, tool, writer(tool, t))
        refused(tool, server)
    for t in tables:
        if t.name == "vectors":
            t.delete(5)
            vectors = [f for f, _ in t.files() if "deletion_vector" in f]
            check(t.name, "rows deleted by delta-rs", difference(t.got(), t.want()), f"  by {len(vectors)} deletion vectors")
    killed(tables, tool)
    dropped(tables, tool)
    said = [line for line in Server(BINARY, OUT).complaints() if "level=ERROR" in line]
    check("", "the server's log has no error", said or None)
    print("external " + ("all ok" if not FAULTS else f"{len(FAULTS)} FAILED: {', '.join(FAULTS)}"))
    sys.stdout.flush()
    os._exit(1 if FAULTS else 0)  # threads of the libraries may still run, and abort the process on the usual way out


main()
