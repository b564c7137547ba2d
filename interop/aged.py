"""A table of many small commits, for what happens to a log as it grows old."""

import glob
import json
import os

from tables import wait_until

ROWS = 20  # of a commit


class Aged:
    """The table, and what was sent to it."""

    def __init__(self, tool, name="aged", interval=4):
        self.tool, self.name, self.sent = tool, name, 0
        tool("sql", f"CREATE TABLE main.default.{name} (id BIGINT NOT NULL, note STRING, part STRING) USING DELTA PARTITIONED BY (part) "
                    f"TBLPROPERTIES ('delta.checkpointInterval' = '{interval}')")
        self.env = tool.writer(name)
        self.root = tool.location(name)

    def row(self, i):
        return {"id": i, "note": None if i % 7 == 0 else f"größe {i}", "part": [None, "a", "b c/d"][i // ROWS % 3]}

    def rows(self):
        """All that was sent."""
        return [tuple(self.row(i).values()) for i in range(self.sent)]

    def send(self, commits):
        for _ in range(commits):
            before = self.version()
            lines = [json.dumps(self.row(self.sent + i)) for i in range(ROWS)]
            self.tool("ingest", "--table", "main.default." + self.name, "-", input="\n".join(lines), env=self.env)
            self.sent += ROWS
            wait_until("a commit", lambda: self.version() > before)

    def log(self, pattern):
        return sorted(glob.glob(self.root + "/_delta_log/" + pattern))

    def version(self):
        return int(os.path.basename(self.log("0*.json")[-1])[:20])

    def checkpoints(self):
        """The versions of those of one file with the classic name."""
        return [int(os.path.basename(p)[:20]) for p in self.log("*.checkpoint.parquet")]
