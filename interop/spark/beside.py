"""Spark reads and changes tables while the server appends to them, several times a second.

`kept` is only appended to and optimized; a reader and a stream must find each row once, and at every version the first rows
that were sent. `changed` is updated, deleted from, merged into and optimized. `altered` gets other properties, another column
and a change data feed, and `vectors` deletion vectors. Each has the columns id, which counts up, v, which is 0, and note.
"""

import collections
import glob
import json
import re
import subprocess
import threading
import time

import serving
import session
import tables

COLUMNS = "(id BIGINT NOT NULL, v INT, note STRING) USING DELTA"
CONFLICTS = ("DELTA_CONCURRENT", "ConcurrentAppendException", "ConcurrentModificationException", "DELTA_METADATA_CHANGED", "DELTA_PROTOCOL_CHANGED")


class Feeder:
    """One `zerobus ingest` that is fed rows at a steady pace until it is told to stop."""

    def __init__(self, binary, tool, table, pace=0.05, step=20):
        self.table, self.sent, self.pace, self.step = table, 0, pace, step
        self.over, self.lull = threading.Event(), threading.Event()
        self.process = subprocess.Popen([binary, "ingest", "--table", "main.default." + table, "-", "--data", tool.data], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=tool.writer(table))
        self.thread = threading.Thread(target=self.feed)
        self.thread.start()

    def feed(self):
        try:
            while not self.over.wait(self.pace):
                if self.lull.is_set():
                    continue
                self.process.stdin.write("".join(json.dumps({"id": i, "v": 0, "note": f"row {i}"}) + "\n" for i in range(self.sent, self.sent + self.step)))
                self.process.stdin.flush()
                self.sent += self.step
        except BrokenPipeError:
            pass  # what the tool says comes with its end

    def stop(self):
        """Returns what went wrong, or None."""
        self.over.set()
        self.thread.join()
        try:
            said, _ = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "the ingest does not end: its rows are not acknowledged"
        if not self.process.returncode:
            return None
        durable = re.search(r"([\d,]+) records are durable", said)
        self.sent = int(durable.group(1).replace(",", "")) if durable else 0
        return f"the ingest ended with status {self.process.returncode}: {said.strip()[-600:]}"


class Watcher(threading.Thread):
    """Reads a table at its newest version, over and over. Every version has the first rows that were sent, once each."""

    def __init__(self, spark, table, root):
        super().__init__()
        self.spark, self.table, self.root = spark, table, root
        self.over, self.reads, self.rows, self.faults, self.seen = threading.Event(), 0, 0, [], {}
        self.start()

    def read(self, version):
        r = self.spark.sql(f"""
            SELECT count(*) AS rows, count(DISTINCT id) AS ids, sum(xxhash64(id, v, note) % 1000003) AS h,
              count_if(id >= 0 AND id % 10 <> 3) AS kept, coalesce(max(IF(id % 10 <> 3, id, NULL)), -1) AS last
            FROM delta.`{self.root}` VERSION AS OF {version}""").collect()[0]
        fault = None
        if r.rows != r.ids:
            fault = f"{r.rows} rows with {r.ids} ids"
        elif r.kept != r.last + 1 - (r.last + 6) // 10:  # the ids that end in 3 may be deleted
            fault = f"{r.kept} rows up to id {r.last}"
        elif self.table == "kept" and r.rows not in (r.last + 1, r.last + 2):
            fault = f"{r.rows} rows up to id {r.last}"
        if fault:
            self.faults.append(f"version {version}: {fault}")
        self.reads, self.rows = self.reads + 1, self.rows + r.rows
        return r.rows, r.h

    def run(self):
        try:
            while not self.over.wait(1):
                version = tables.versions(self.root) - 1
                self.seen[version] = self.read(version)
            for version in list(self.seen)[:: max(1, len(self.seen) // 2)]:
                if self.read(version) != self.seen[version]:
                    self.faults.append(f"version {version} changed after it was read")
        except Exception as e:
            self.faults.append(f"{type(e).__name__}: {str(e)[:1500]}")

    def stop(self):
        """Returns what went wrong, or None."""
        self.over.set()
        self.join()
        return self.faults[0] if self.faults else None


def stream(spark, root, out):
    """Goes on with a stream from its checkpoint to the end of the table, into Parquet files."""
    query = (spark.readStream.format("delta").load(root).writeStream.format("parquet").option("path", out + "/stream")
             .option("checkpointLocation", out + "/stream-checkpoint").trigger(availableNow=True).start())
    query.awaitTermination()


def commits(root):
    """How many commits are ours and how many Spark's, by operation."""
    found = collections.Counter()
    for path in sorted(glob.glob(root + "/_delta_log/" + "[0-9]" * 20 + ".json")):
        with open(path) as f:
            info = next((json.loads(line)["commitInfo"] for line in f if line.startswith('{"commitInfo"')), {})
        found[info.get("engineInfo", "?").split("/")[0].split(" ")[0] + " " + info.get("operation", "?")] += 1
    return ", ".join(f"{n} {what}" for what, n in found.most_common())


class Work:
    """One table while it is worked on: rows are fed, Spark reads over and over, and has statements of its own."""

    def __init__(self, spark, binary, out, report, table):
        self.spark, self.out, self.report, self.table = spark, out, report, table
        self.conflicts, self.done, self.began = collections.Counter(), collections.Counter(), time.monotonic()
        tool = tables.Tool(binary, out)
        tool("sql", f"CREATE TABLE main.default.{table} {COLUMNS}")
        self.root, self.feeder = tool.location(table), Feeder(binary, tool, table)
        tables.wait_until(f"rows in {table}", lambda: tables.versions(self.root) > 5)
        self.watcher = Watcher(spark, table, self.root)

    def note(self, check, rows, fault=None):
        self.report.note("Spark/Delta beside us", version(self.spark), check, self.table, rows, fault)

    def sql(self, statement):
        """Runs a statement, again when it meets one of our commits, as its user would."""
        what, text = statement.split()[0], statement.replace("TABLE!", f"delta.`{self.root}`")
        try:
            for attempt in range(1, 11):
                try:
                    rows = self.spark.sql(text).collect()
                    self.done[what] += 1
                    return rows
                except Exception as e:
                    if not any(c in str(e) for c in CONFLICTS):
                        raise
                    self.conflicts[what] += 1
                # Under Serializable, the only isolation level of open source Delta, every append in between is a conflict. Appends
                # that come five times a second leave a statement no room, so that in the end the rows wait for it.
                self.feeder.lull.set()
                time.sleep(1)
        finally:
            self.feeder.lull.clear()
        raise RuntimeError(f"{what}: in conflict {attempt} times")

    def change(self, statement):
        """Runs a statement on the rows up to an id, LAST!, that is in the table. Returns the id, or -1 when it fails."""
        try:
            last = self.sql("SELECT max(id) AS m FROM TABLE!")[0].m
            self.sql(statement.replace("LAST!", str(last)))
        except Exception as e:
            self.note("statements", 0, f"{' '.join(statement.split())}: {type(e).__name__}: {str(e)[:1500]}")
            last = -1
        else:
            self.note("statements", 0)
        print(f"beside    {self.table:8} {time.monotonic() - self.began:4.0f} s  {' '.join(statement.split())[:60]}", flush=True)
        return last

    def finish(self):
        fault = self.feeder.stop()
        self.note("appends go on", self.feeder.sent, fault)
        fault = self.watcher.stop()
        self.note("reads between commits", self.watcher.rows, fault)
        print(f"beside    {self.table:8} {time.monotonic() - self.began:4.0f} s  {self.feeder.sent} rows sent, {self.watcher.reads} reads; "
              f"statements {dict(self.done)}, tried again {dict(self.conflicts)}", flush=True)
        return self.feeder.sent


def run(spark, binary, out, report):
    """Works on all tables. Returns how many rows were sent to each, and up to which ids each was changed."""
    state, sent = {}, {}
    kept = Work(spark, binary, out, report, "kept")
    kept.change("OPTIMIZE TABLE!")
    stream(spark, kept.root, out)
    kept.change("OPTIMIZE TABLE!")
    sent["kept"] = kept.finish()

    changed = Work(spark, binary, out, report, "changed")
    state["updated"] = changed.change("UPDATE TABLE! SET v = 1, note = 'updated' WHERE id % 10 = 5 AND id <= LAST!")
    changed.change("OPTIMIZE TABLE!")
    state["deleted"] = changed.change("DELETE FROM TABLE! WHERE id % 10 = 3 AND id <= LAST!")
    state["merged"] = changed.change("""
        MERGE INTO TABLE! t USING (SELECT id FROM range(-40, LAST! + 1) WHERE id < 0 OR id % 10 = 7) s ON t.id = s.id
        WHEN MATCHED THEN UPDATE SET t.v = 2 WHEN NOT MATCHED AND s.id < 0 THEN INSERT (id, v, note) VALUES (s.id, 3, 'merged')""")
    sent["changed"] = changed.finish()

    altered = Work(spark, binary, out, report, "altered")
    altered.change("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.logRetentionDuration' = 'interval 20 days')")
    altered.change("ALTER TABLE TABLE! ADD COLUMNS (extra DOUBLE)")
    altered.change("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.enableChangeDataFeed' = 'true')")
    state["altered"] = altered.change("UPDATE TABLE! SET v = 1, note = 'updated' WHERE id % 10 = 5 AND id <= LAST!")
    sent["altered"] = altered.finish()

    vectors = Work(spark, binary, out, report, "vectors")
    vectors.change("ALTER TABLE TABLE! SET TBLPROPERTIES ('delta.enableDeletionVectors' = 'true')")
    state["vectors"] = vectors.change("DELETE FROM TABLE! WHERE id % 10 = 3 AND id <= LAST!")
    vectors.change("OPTIMIZE TABLE!")
    sent["vectors"] = vectors.finish()
    return state | {"sent": sent}


def version(spark):
    return spark.version + "/" + session.DELTA


def after_restart(spark, binary, out, report, state):
    """The server starts again on the logs that Spark had part in, and goes on; then everything is compared."""
    sent = state["sent"]
    tool = tables.Tool(binary, out)
    note = lambda check, table, rows, fault=None: report.note("Spark/Delta beside us", version(spark), check, table, rows, fault)
    with serving.Server(binary, out) as server:
        for name in sent:
            lines = "".join(json.dumps({"id": i, "v": 0, "note": f"row {i}"}) + "\n" for i in range(sent[name], sent[name] + 100))
            try:
                tool("ingest", "--table", "main.default." + name, "-", input=lines, env=tool.writer(name, "again-" + name))
                sent[name] += 100
                note("appends go on after a restart", name, 100)
            except RuntimeError as e:
                note("appends go on after a restart", name, 0, str(e)[-600:])
    for name in sent:
        root = tool.location(name)
        print(f"beside    {name}: {tables.versions(root)} versions: {commits(root)}")
        frame = spark.read.format("delta").load(root)
        got = [json.dumps([r.id, r.v, r.note]) for r in frame.select("id", "v", "note").collect()]
        want = [json.dumps(r) for r in expected(name, state)]
        note("every row of both", name, len(got), tables.difference(got, want))
    try:
        stream(spark, tool.location("kept"), out)
        got = [json.dumps([r.id, r.v, r.note]) for r in spark.read.parquet(out + "/stream").collect()]
        note("readStream in two parts, each row once", "kept", len(got), tables.difference(got, [json.dumps(r) for r in expected("kept", state)]))
    except Exception as e:
        note("readStream in two parts, each row once", "kept", 0, f"{type(e).__name__}: {str(e)[:1500]}")
    for name in sent:
        complaints = [line for line in server.complaints() if "main.default." + name in line]
        note("no complaint in the server's log", name, sent[name], f"{len(complaints)} lines; the first: {complaints[0]}" if complaints else None)


def expected(name, state):
    rows = []
    for i in range(state["sent"][name]):
        v, note = 0, f"row {i}"
        if name == "changed":
            if i % 10 == 3 and i <= state["deleted"]:
                continue
            if i % 10 == 5 and i <= state["updated"]:
                v, note = 1, "updated"
            if i % 10 == 7 and i <= state["merged"]:
                v = 2
        if name == "altered" and i % 10 == 5 and i <= state["altered"]:
            v, note = 1, "updated"
        if name == "vectors" and i % 10 == 3 and i <= state["vectors"]:
            continue
        rows.append([i, v, note])
    if name == "changed" and state["merged"] >= 0:
        rows += [[-i, 3, "merged"] for i in range(1, 41)]
    return rows
