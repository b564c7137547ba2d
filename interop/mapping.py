"""Tables with column mapping: made by hand, by our CREATE TABLE, by our ALTER TABLE and by delta-rs; our server appends to all of them.

usage: mapping.py ZEROBUS_BINARY OUT_DIR

Starts a server of its own on OUT_DIR/mapping. delta-rs reads every row by its queries (its Arrow datasets give NULL for all mapped columns
but those of partitions, also in tables of its own), DuckDB by a replay of the log that goes to the columns by their physical names or, in
mode id, by their field ids. Of each of our files the names and ids at all levels, the keys of statistics and partition values, and
the path are compared with the schema in the log. Between the appends a column is renamed and one is dropped, as Spark does it, and one is
added by our SQL.
"""

import collections
import json
import os
import shutil
import sys
import uuid

import deltalake
import duckdb
import pyarrow

from serving import Server
from tables import Tool, wait_until

BINARY, OUT = sys.argv[1], sys.argv[2] + "/mapping"
ROWS = 30  # of a part
FAULTS = []

COLUMNS = "id BIGINT, day STRING, label STRING, place STRUCT<zip: STRING, geo: STRUCT<lat: DOUBLE>>, tags ARRAY<STRUCT<k: STRING, v: INT>>, counts MAP<STRING, STRUCT<n: INT>>"
ARROW = pyarrow.schema([
    ("id", pyarrow.int64()), ("day", pyarrow.string()), ("label", pyarrow.string()),
    ("place", pyarrow.struct([("zip", pyarrow.string()), ("geo", pyarrow.struct([("lat", pyarrow.float64())]))])),
    ("tags", pyarrow.list_(pyarrow.struct([("k", pyarrow.string()), ("v", pyarrow.int32())]))),
    ("counts", pyarrow.map_(pyarrow.string(), pyarrow.struct([("n", pyarrow.int32())]))),
])


def check(what, got, want):
    if got != want:
        FAULTS.append(what)
        print(f"FAULT     {what}: {str(got)[:600]}, want {str(want)[:600]}", flush=True)


def row(i):
    return {
        "id": i, "day": [None, "monday", "a b/c"][i % 3], "label": None if i % 5 == 0 else f"größe {i}",
        "place": None if i % 7 == 0 else {"zip": f"{i:05}", "geo": {"lat": i / 4}},
        "tags": [{"k": f"k{j}", "v": None if j else i} for j in range(i % 3)],
        "counts": {f"c{j}": {"n": j} for j in range(i % 4)},
    }


def field(name, type, physical, id, **metadata):
    return {"name": name, "type": type, "nullable": True, "metadata": {"delta.columnMapping.id": id, "delta.columnMapping.physicalName": physical, **metadata}}


def struct(*fields):
    return {"type": "struct", "fields": list(fields)}


def by_hand(root, mode):
    """Version 0 of a table with the features, ids out of order, and clustering by a column beyond those that have statistics."""
    array = {"type": "array", "elementType": struct(field("k", "string", "col-k", 31), field("v", "integer", "v", 32)), "containsNull": True}
    counts = {"type": "map", "keyType": "string", "valueType": struct(field("n", "integer", "n.n", 41)), "valueContainsNull": True}
    schema = struct(
        field("id", "long", "col-id", 50), field("day", "string", "p day", 2), field("label", "string", "id", 7),
        field("place", struct(field("zip", "string", "geo", 11), field("geo", struct(field("lat", "double", "zip", 12)), "x", 13)), "col-place", 10),
        field("tags", array, "col-tags", 30, **{"delta.columnMapping.nested.ids": {"col-tags.element": 60}}),
        field("counts", counts, "col-counts", 40, **{"delta.columnMapping.nested.ids": {"col-counts.key": 61, "col-counts.value": 62}}))
    shutil.rmtree(root + "/_delta_log")
    actions = [
        {"commitInfo": {"timestamp": 1, "operation": "CREATE TABLE"}},
        {"protocol": {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": ["columnMapping"], "writerFeatures": ["columnMapping", "domainMetadata", "clustering"]}},
        {"metaData": {"id": str(uuid.uuid4()), "format": {"provider": "parquet", "options": {}}, "schemaString": json.dumps(schema), "partitionColumns": ["day"],
                      "configuration": {"delta.columnMapping.mode": mode, "delta.columnMapping.maxColumnId": "70", "delta.dataSkippingNumIndexedCols": "1"}, "createdTime": 1}},
        {"domainMetadata": {"domain": "delta.clustering", "configuration": json.dumps({"clusteringColumns": [["col-place", "x", "zip"]]}), "removed": False}},
    ]
    commit(root, 0, actions)


def by_delta_rs(root, mode, rows):
    shutil.rmtree(root)
    deltalake.DeltaTable.create(root, schema=ARROW, partition_by=["day"], configuration={"delta.columnMapping.mode": mode})
    append(root, rows)


def append(root, rows):
    """Appends by delta-rs."""
    plain = [{**r, "counts": list(r["counts"].items())} for r in rows]
    deltalake.write_deltalake(root, pyarrow.Table.from_pylist(plain, schema=ARROW), mode="append")


def commit(root, version, actions):
    os.makedirs(root + "/_delta_log", exist_ok=True)
    path = f"{root}/_delta_log/{version:020}.json"
    with open(path + ".tmp", "x") as f:
        f.writelines(json.dumps(a) + "\n" for a in actions)
    os.link(path + ".tmp", path)  # fails when the version is there
    os.remove(path + ".tmp")


class Table:
    def __init__(self, tool, name, mode, maker):
        self.tool, self.name, self.mode, self.maker = tool, name, mode, maker
        self.sent, self.label, self.note, self.tags = 0, "label", False, True
        created = mode if maker == "SQL" else "none"
        tool("sql", f"CREATE TABLE main.default.{name} ({COLUMNS}) PARTITIONED BY (day) TBLPROPERTIES ('delta.columnMapping.mode' = '{created}')")
        self.root = tool.location(name)
        self.rows = []
        if maker == "hand":
            by_hand(self.root, mode)
        elif maker == "delta-rs":
            by_delta_rs(self.root, mode, self.next())
        self.foreign = self.files()
        self.env = tool.writer(name)

    def next(self, n=ROWS):
        """The next rows, with all columns by their first names."""
        rows = [row(self.sent + i) for i in range(n)]
        self.sent += n
        self.rows += rows
        return rows

    def ingest(self):
        lines = []
        for r in self.next():
            r["note"] = f"n{r['id']}" if self.note else None
            sent = {self.label if k == "label" else k: v for k, v in r.items() if k != "note" or self.note}
            if not self.tags:
                r["tags"] = sent.pop("tags") and None
            lines.append(json.dumps(sent))
        before = len(self.actions("txn"))
        self.tool("ingest", "--table", "main.default." + self.name, "-", input="\n".join(lines), env=self.env)
        wait_until(f"a commit of {self.name}", lambda: len(self.actions("txn")) > before)

    def log(self):
        return sorted(n for n in os.listdir(self.root + "/_delta_log") if n.endswith(".json") and n[0].isdigit())

    def version(self):
        return int(self.log()[-1][:20])

    def actions(self, kind):
        lines = [json.loads(line) for n in self.log() for line in open(f"{self.root}/_delta_log/{n}")]
        return [a[kind] for a in lines if kind in a]

    def files(self):
        return {a["path"] for a in self.live()}

    def live(self):
        """The add actions of the files that are in the table."""
        removed = {a["path"] for a in self.actions("remove")}
        return [a for a in self.actions("add") if a["path"] not in removed]

    def metadata(self):
        return self.actions("metaData")[-1]

    def change(self, edit):
        """Another writer changes the columns."""
        m = self.metadata()
        schema = json.loads(m["schemaString"])
        edit(schema["fields"])
        m["schemaString"] = json.dumps(schema)
        commit(self.root, self.version() + 1, [{"commitInfo": {"timestamp": 1, "operation": "RENAME COLUMN"}}, {"metaData": m}])

    def rename(self, to):
        def edit(fields):
            next(f for f in fields if f["name"] == self.label)["name"] = to
        self.change(edit)
        self.label = to

    def drop_tags(self):
        def edit(fields):
            fields[:] = [f for f in fields if f["name"] != "tags"]
        self.change(edit)
        self.tags = False

    def want(self):
        """All rows as the readers have them: maps as lists of pairs, the columns by their present names."""
        out = collections.Counter()
        for r in self.rows:
            r = {self.label if k == "label" else k: v for k, v in r.items() if self.tags or k != "tags"}
            r["counts"] = sorted(r["counts"].items())
            if "note" in [f["name"] for f in json.loads(self.metadata()["schemaString"])["fields"]]:
                r.setdefault("note", None)
            else:
                r.pop("note", None)
            out[json.dumps(r, sort_keys=True, ensure_ascii=False)] += 1
        return out


def canonical(rows):
    out = collections.Counter()
    for r in rows:
        r["counts"] = sorted(r["counts"].items() if isinstance(r["counts"], dict) else r["counts"])
        out[json.dumps(r, sort_keys=True, ensure_ascii=False)] += 1
    return out


def delta_rs(table):
    t = deltalake.DeltaTable(table.root)
    query = lambda where: pyarrow.table(deltalake.QueryBuilder().register("t", t).execute("SELECT * FROM t" + where)).to_pylist()
    want = table.want()
    check(f"delta-rs: rows of {table.name}", canonical(query("")), want)
    some = collections.Counter({r: n for r, n in want.items() if json.loads(r)["id"] >= ROWS and json.loads(r)["day"] == "monday"})
    check(f"delta-rs: rows of {table.name} by a filter", canonical(query(f" WHERE id >= {ROWS} AND day = 'monday'")), some)
    if not table.foreign:
        return
    check(f"delta-rs: files of {table.name}", len(t.file_uris()), len(table.files()))


def expression(source, type, found, mode):
    """SQL that gives a value of a file, whose columns have physical names, under logical ones. found are the file's columns."""
    if isinstance(type, str):
        return source
    if type["type"] == "struct":
        parts = []
        for f in type["fields"]:
            inner = expression(f"{source}.{quoted(physical(f, found, mode))}", f["type"], found, mode)
            parts.append(f"{quoted(f['name'])} := {inner}")
        return f"CASE WHEN {source} IS NULL THEN NULL ELSE struct_pack({', '.join(parts)}) END"
    if type["type"] == "array":
        return f"list_transform({source}, lambda x: {expression('x', type['elementType'], found, mode)})"
    return f"list_transform(map_entries({source}), lambda x: struct_pack(k := x.key, v := {expression('x.value', type['valueType'], found, mode)}))"


def physical(f, found, mode):
    """The name of a field in a file: by its id in mode id."""
    if mode == "id":
        return found[f["metadata"]["delta.columnMapping.id"]]
    return f["metadata"]["delta.columnMapping.physicalName"]


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def duck(table):
    con = duckdb.connect()
    m = table.metadata()
    fields, mode = json.loads(m["schemaString"])["fields"], m["configuration"]["delta.columnMapping.mode"]
    got = []
    for add in table.live():
        path = f"{table.root}/{add['path'].replace('%20', ' ')}"
        ids = {id: name for name, id in con.execute("SELECT name, field_id FROM parquet_schema(?)", [path]).fetchall() if id}
        names = [c[0] for c in con.execute("DESCRIBE SELECT * FROM read_parquet(?, hive_partitioning = false)", [path]).fetchall()]
        parts, values = [], {}
        for f in fields:
            name = f["metadata"]["delta.columnMapping.physicalName"]
            if f["name"] in m["partitionColumns"]:
                values[f["name"]] = add["partitionValues"][name]
                continue
            stored = ids.get(f["metadata"]["delta.columnMapping.id"]) if mode == "id" else name
            parts.append(f"{expression(quoted(stored), f['type'], ids, mode) if stored in names else 'NULL'} AS {quoted(f['name'])}")
        cursor = con.execute(f"SELECT {', '.join(parts)} FROM read_parquet(?, hive_partitioning = false)", [path])
        columns = [d[0] for d in cursor.description]
        for r in cursor.fetchall():
            r = dict(zip(columns, r)) | values
            r["counts"] = [(e["k"], e["v"]) for e in r["counts"]]
            got.append(r)
    check(f"DuckDB: rows of {table.name}", canonical(got), table.want())


def stored(fields, prefix=""):
    """Paths of a schema's fields in files, with their ids."""
    def inside(type, path, nested, key):
        if isinstance(type, str):
            return
        if type["type"] == "struct":
            yield from stored(type["fields"], path)
        for part, kind, group in (("element", "elementType", ".list"), ("key", "keyType", ".key_value"), ("value", "valueType", ".key_value")):
            if kind in type:
                if f"{key}.{part}" in nested:
                    yield f"{path}{group}.{part}", nested[f"{key}.{part}"]
                yield from inside(type[kind], f"{path}{group}.{part}", nested, f"{key}.{part}")
    for f in fields:
        name = f["metadata"]["delta.columnMapping.physicalName"]
        path = prefix + "." + name
        yield path, f["metadata"]["delta.columnMapping.id"]
        yield from inside(f["type"], path, f["metadata"].get("delta.columnMapping.nested.ids", {}), name)


def in_file(con, path):
    """Paths of a file's columns that have ids, with these."""
    rows, out = iter(con.execute("SELECT name, num_children, field_id FROM parquet_schema(?)", [path]).fetchall()), {}
    def walk(prefix):
        name, kids, id = next(rows)
        path = prefix + "." + name if prefix is not None else ""
        if id:
            out[path] = id
        for _ in range(kids or 0):
            walk(path)
    walk(None)
    return out


def leaves(stats, prefix=()):
    for k, v in stats.items():
        if isinstance(v, dict):
            yield from leaves(v, prefix + (k,))
        else:
            yield prefix + (k,)


def our_files(table, metadata, since):
    """What was appended by our server beside the rows: names, ids, statistics and paths."""
    con = duckdb.connect()
    fields = json.loads(metadata["schemaString"])["fields"]
    want = dict(stored([f for f in fields if f["name"] not in metadata["partitionColumns"]]))
    keys = {f["metadata"]["delta.columnMapping.physicalName"] for f in fields if f["name"] in metadata["partitionColumns"]}
    ours = [a for a in table.live() if a["path"] not in since]
    check(f"{table.name}: files", bool(ours), True)
    for a in ours:
        check(f"{table.name}: ids of {a['path']}", in_file(con, f"{table.root}/{a['path']}"), want)
        check(f"{table.name}: partition values of {a['path']}", set(a["partitionValues"]), keys)
        check(f"{table.name}: directory of {a['path']}", os.path.dirname(a["path"]), "")
        stats = json.loads(a["stats"])
        for kind in ("minValues", "maxValues", "nullCount"):
            check(f"{table.name}: {kind} of {a['path']}", [p for p in leaves(stats[kind]) if "." + ".".join(p) not in want], [])
        if table.maker == "hand":
            check(f"{table.name}: columns with statistics in {a['path']}", sorted(leaves(stats["nullCount"])), [("col-id",), ("col-place", "x", "zip")])


def read(tables):
    for t in tables:
        delta_rs(t)
        duck(t)
        head = json.loads(t.tool("table", "head", "main.default." + t.name, "-n", "10000", "--json"))
        check(f"zerobus table head: columns of {t.name}", [c if isinstance(c, str) else c["name"] for c in head["columns"]], [f["name"] for f in json.loads(t.metadata()["schemaString"])["fields"]])
        check(f"zerobus table head: rows of {t.name}", len(head["rows"]), len(t.rows))


def main():
    os.makedirs(OUT)
    tool = Tool(BINARY, OUT)
    with Server(BINARY, OUT, commit_interval="50ms"):
        made = [Table(tool, f"{maker.replace('-', '_').lower()}_{mode}", mode, maker) for maker in ("SQL", "hand", "delta-rs") for mode in ("name", "id")]
        later = Table(tool, "later", "name", "ALTER")
        later.ingest()
        tool("sql", "ALTER TABLE main.default.later SET TBLPROPERTIES ('delta.columnMapping.mode' = 'name')")
        later.foreign = later.files()
        tables = made + [later]
        for t in tables:
            t.ingest()
            our_files(t, t.metadata(), t.foreign)
            before = t.files()
            t.rename("a name, with a space")
            t.ingest()
            our_files(t, t.metadata(), before)
            tool("sql", f"ALTER TABLE main.default.{t.name} ADD COLUMN note STRING COMMENT 'more'")
            t.note, before = True, t.files()
            t.ingest()
            our_files(t, t.metadata(), before)
            if t.maker == "delta-rs":
                check(f"{t.name}: ids", len({i for _, i in stored(json.loads(t.metadata()["schemaString"])["fields"])}), 13)
        read(tables)
        for t in tables:
            t.drop_tags()
    with Server(BINARY, OUT, commit_interval="50ms") as server:
        for t in tables:
            before = t.files()
            t.ingest()
            our_files(t, t.metadata(), before)
        read(tables)
        check("complaints of the server", server.complaints(), [])
    rows = sum(len(t.rows) for t in tables)
    print(f"mapping   {len(tables)} tables in modes name and id, by our SQL, by hand and by delta-rs {deltalake.__version__}: {rows} rows by delta-rs and DuckDB, "
          + (f"{len(FAULTS)} FAILED" if FAULTS else "ok"), flush=True)
    os._exit(1 if FAULTS else 0)  # threads of the libraries may still run


main()
