"""Runs one version of an SDK against the server, and judges what is in the tables afterwards.

usage: judge.py run ZEROBUS_BINARY OUT_DIR SDK VERSION OPTIONS COMMAND…
       judge.py table OUT_DIR

COMMAND STEP is the client; ../README.md says what it is told and what it prints. OPTIONS is a list with commas: tls; bare, when the
SDK's endpoints have no scheme; forgetful, when it may lose the status of a stream that the server ends; frail, when it gives up if it
gets no token; brief, for the step single only; distrusts, when it takes no certificate authority from a file; truststore, when it
wants one of Java; and what it lacks, such as no-json or no-batch. Each step is one row of OUT_DIR/rows.tsv.
"""

import collections
import datetime
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

LIMIT = 120  # seconds that a client may take


class Server:
    def __init__(self, binary, out, tls):
        self.binary, self.out, self.tls = binary, out, tls
        self.grpc = self.http = "127.0.0.1:0"

    def start(self, *flags):
        args = ["--data", self.out + "/data", "--grpc-listen", self.grpc, "--http-listen", self.http, "--commit-interval", "200ms"]
        with open(self.out + "/serve.out", "w") as out, open(self.out + "/serve.log", "a") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve", *args, *flags, "--tls", "auto" if self.tls else "off"], stdout=out, stderr=log)
        for _ in range(300):
            with open(self.out + "/serve.out") as f:
                said = dict(line.split()[:2] for line in f)
            if "data" in said and ("trust" in said or not self.tls):
                break
            if self.process.poll() is not None:
                raise SystemExit(f"the server ended; see {self.out}/serve.log")
            time.sleep(0.1)
        # The next start takes the same ports.
        self.grpc, self.http = (said[k].split("://")[1] for k in ("streams", "http"))
        self.endpoint, self.workspace, self.ca = said["streams"], said["http"], said.get("trust")

    def stop(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            raise SystemExit(f"the server's exit status was {self.process.returncode}; see {self.out}/serve.log")

    def tool(self, *args):
        args = [self.binary, *args, "--data", self.out + "/data"]
        for _ in range(5):
            done = subprocess.run(args, capture_output=True, text=True)
            if "try again" not in done.stderr:  # a server that has no time to answer, on a busy machine
                break
        if done.returncode != 0:
            raise SystemExit(f"zerobus {args[1]}: {done.stderr.strip()}")
        return done.stdout


class Client:
    """One run of the client, and what it said."""

    def __init__(self, run, step, kind):
        self.run, self.step, self.kind = run, step, kind
        self.table = f"{kind}_{step}".replace("-", "_")
        self.offered, self.sent, self.acked, self.unacked, self.error = 0, 0, 0, None, ""
        self.recreated, self.times, self.fields = [], [], ""
        server = run.server
        columns = "id BIGINT NOT NULL, device STRING, temp INT, level DOUBLE"
        server.tool("sql", f"CREATE TABLE main.default.{self.table} ({columns}) USING DELTA")
        server.tool("sql", f"GRANT SELECT, MODIFY ON TABLE main.default.{self.table} TO `{run.id}`")
        endpoint = server.endpoint.split("://")[1] if "bare" in run.options else server.endpoint
        env = dict(os.environ, ZEROBUS_ENDPOINT=endpoint, ZEROBUS_WORKSPACE=server.workspace, ZEROBUS_TABLE="main.default." + self.table,
                   ZEROBUS_CLIENT_ID=run.id, ZEROBUS_CLIENT_SECRET="wrong" if step == "secret" else run.secret,
                   ZEROBUS_FORMAT=kind, ZEROBUS_DESCRIPTORS=os.path.dirname(run.out) + "/reading.desc",
                   ZEROBUS_PROTO=os.path.join(os.path.dirname(os.path.abspath(__file__)), "reading.proto"),
                   ZEROBUS_UNTIL=run.out + "/until")
        if server.tls:
            # The Rust core, requests, grpcio and Node.js read these, in this order.
            for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", "NODE_EXTRA_CA_CERTS"):
                env[name] = server.ca
            if "truststore" in run.options:  # what is written in Java trusts what this holds, beside the Rust core
                env["JAVA_TOOL_OPTIONS"] = f"-Djavax.net.ssl.trustStore={run.truststore()} -Djavax.net.ssl.trustStorePassword=changeit"
        self.log = f"{run.out}/{self.table}.log"
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([*run.command, step], env=env, stdout=subprocess.PIPE, stderr=log, text=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        with open(self.log + ".out", "w") as copy:
            for line in self.process.stdout:
                copy.write(f"{time.time():.3f} {line}")
                word, _, rest = line.rstrip("\n").partition(" ")
                if word == "sent":
                    self.sent = int(rest)
                    self.offered = max(self.offered, self.sent)
                elif word == "acked":
                    self.acked = max(self.acked, int(rest))
                    self.times.append((time.time(), self.acked))
                elif word == "unacked":
                    self.unacked = sorted(int(x) for x in rest.split())
                elif word == "recreated":
                    self.recreated.append((self.sent, {int(x) for x in rest.split()}))
                elif word == "fields":
                    self.fields = rest
                elif word == "error":
                    self.error = rest

    def wait(self):
        try:
            self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.error += " (killed: it did not end)"
        self.reader.join()
        return self

    def known(self, i):
        """When the client said that the record is acknowledged."""
        return next((t for t, n in self.times if n > i), float("inf"))

    def note(self, result, rows=""):
        self.run.row(f"{self.kind} {self.step}", rows, result)


def reading(i):
    """The record number i, as every client makes it."""
    return i, f"sensor-{i % 10} 🎈", None if i % 7 == 0 else i % 50 - 10, i / 8


class Run:
    def __init__(self, binary, out, sdk, version, options, command):
        self.sdk, self.version, self.options, self.command = sdk, version, options.split(","), command
        self.out = f"{out}/{sdk}-{version}" + ("-tls" if "tls" in self.options else "")
        self.rows = out + "/rows.tsv"
        self.failed = False
        os.makedirs(self.out)
        self.server = Server(binary, self.out, "tls" in self.options)

    def row(self, what, rows, result):
        self.failed = self.failed or not result.startswith(("ok", "not run"))
        with open(self.rows, "a") as f:
            tls = ", TLS" if self.server.tls else ""
            f.write("\t".join((self.sdk, self.version, what + tls, str(rows), " ".join(result.split()))) + "\n")

    def truststore(self):
        store = self.out + "/trust.p12"
        if not os.path.exists(store):
            subprocess.run(["keytool", "-importcert", "-noprompt", "-alias", "zerobus", "-file", self.server.ca, "-keystore", store,
                            "-storepass", "changeit"], check=True, capture_output=True)
        return store

    def kinds(self):
        return ["proto"] if "no-json" in self.options else ["json", "proto"]

    def all(self):
        s = self.server
        s.start()
        principal = json.loads(s.tool("principal", "create", "sdk", "--json"))
        self.id, self.secret = principal["client_id"], principal["client_secret"]
        s.tool("sql", f"GRANT USE CATALOG ON CATALOG main TO `{self.id}`; GRANT USE SCHEMA ON SCHEMA main.default TO `{self.id}`")
        if "distrusts" in self.options:
            return self.distrusted()
        done = []
        for kind in self.kinds():
            done += [Client(self, step, kind).wait() for step in self.steps("single", "batch", "refused")]
        done += [Client(self, step, "proto").wait() for step in self.steps("generate", "secret")]
        s.stop()
        if "frail" in self.options:
            done += self.unsteady(self.steps("reconnect", "reconnect-batch"), False) + self.unsteady(self.steps("recreate"), True)
        else:
            done += self.unsteady(self.steps("reconnect", "reconnect-batch", "recreate"), True)
        for c in done:
            {"secret": self.judge_secret, "generate": self.judge_generate}.get(c.step, self.judge)(c)
        if not self.failed:
            shutil.rmtree(self.out + "/data")

    def distrusted(self):
        """The SDK does not take the certificate, as it should be with this version."""
        c = Client(self, "single", self.kinds()[0]).wait()
        self.server.stop()
        with open(self.out + "/serve.log") as f:
            alert = "tls: unknown certificate authority"
            if alert in f.read() and not c.sent:
                self.row("all", "", f"not run: token requests trust built-in authorities only, no file; the SDK answered {alert!r}")
            else:
                c.note("the SDK was to refuse the certificate: " + (c.error or last_line(c.log)))

    def steps(self, *steps):
        if "brief" in self.options:
            return [s for s in steps if s == "single"]
        return [s for s in steps if not {"no-" + s, "no-" + s.removeprefix("reconnect-")} & set(self.options)]

    def unsteady(self, steps, restart):
        """Close signals every two seconds, and between two of them the end of the server and its next life on the same ports."""
        if not steps:
            return []
        s = self.server
        s.start("--stream-lifetime", "2s")
        together = [Client(self, step, kind) for kind in self.kinds() for step in steps]
        # Nobody is fast on a busy machine: what is waited for is what the server's log and the clients say. Without recovery the
        # Rust core takes no notice of a close signal, and connects again only when the server ends.
        self.wait(together, lambda c: c.acked and (c.step == "recreate" or len(self.opened(c.table)) >= 2))
        if restart:
            time.sleep(0.7)  # between two close signals
            before = {c: len(self.opened(c.table)) for c in together}
            s.stop()
            s.start("--stream-lifetime", "2s")
            self.wait(together, lambda c: len(self.opened(c.table)) > before[c])
        else:
            self.wait(together, lambda c: len(self.opened(c.table)) >= 3)
        time.sleep(1)
        open(self.out + "/until", "w").close()
        for c in together:
            c.wait()
        s.stop()
        os.remove(self.out + "/until")
        return together

    @staticmethod
    def wait(clients, done):
        """Until it is so for all clients that still run; what is missing after a minute is for judge to say."""
        until = time.time() + 60
        while time.time() < until and not all(c.process.poll() is not None or done(c) for c in clients):
            time.sleep(0.05)

    def judge_generate(self, c):
        """The SDK's own tool writes a message from what our Unity Catalog says about the table."""
        want = "required int64 id = 1; optional string device = 2; optional int32 temp = 3; optional double level = 4;"
        c.note("ok" if c.fields == want else f"the tool wrote: {c.fields or c.error or last_line(c.log)}")

    def judge_secret(self, c):
        c.note("ok" if "401" in c.error or "invalid_client" in c.error else f"the SDK said: {c.error or 'nothing'}")

    def judge(self, c):
        import deltalake
        location = json.loads(self.server.tool("table", "describe", "main.default." + c.table, "--json"))["location"]
        got = deltalake.DeltaTable(location).to_pyarrow_table().to_pylist()
        ids = collections.Counter(r["id"] for r in got)
        faults, remarks = [], []
        if c.process.returncode != 0:
            faults.append(f"exit status {c.process.returncode}: {c.error or last_line(c.log)}")
        wrong = [r for r in got if tuple(r[k] for k in ("id", "device", "temp", "level")) != reading(r["id"])]
        if wrong:
            faults.append(f"{len(wrong)} rows differ from what was sent, e.g. {wrong[0]}")
        lost = [i for i in range(c.acked) if i not in ids]
        if lost and all(self.kept(c, i) for i in lost):
            remarks.append(f"a fault of the SDK: it took record {lost[0]}, and neither sent it nor gave it back")
        elif lost:
            faults.append(f"{len(lost)} acknowledged records are not in the table, e.g. {lost[0]}")
        strange = [i for i in ids if not 0 <= i < c.offered]
        if strange:
            faults.append(f"{len(strange)} rows were never sent, e.g. {strange[0]}")
        twice = [i for i, n in ids.items() if n > 1]
        if c.step in ("single", "batch", "refused") and twice:
            faults.append(f"{len(twice)} records are there twice without a reconnect")
        # A record may be there twice if the client did not know of its acknowledgement when it connected again.
        opened = self.opened(c.table)
        late = [i for i in twice if not any(t < c.known(i) for t in opened[1:])]
        if late:
            faults.append(f"{len(late)} records are there twice although the client knew that they are durable, e.g. {late[0]}")
        if twice:
            remarks.append(f"{len(twice)} sent again are there twice")
        if c.step == "refused":
            text = "4044", "unrecognized field name 'surprise'" if c.kind == "json" else "field id: no value"
            if all(t in c.error for t in text):
                if c.unacked == [] and "forgetful" in self.options:
                    remarks.append("the SDK gave no record back")
                elif c.sent > 51 and c.unacked == [-1, *range(51, c.sent - 1)]:
                    remarks.append(f"a fault of the SDK: it took record {c.sent - 1}, and did not give it back")
                elif c.unacked != [-1, *range(51, c.sent)]:
                    faults.append(f"not acknowledged, as the SDK says: {c.unacked}")
            elif "forgetful" in self.options and c.error:
                remarks.append("the SDK lost the server's status")
            else:
                faults.append(f"the SDK said: {c.error or 'nothing'}")
            if sorted(ids) != list(range(50)) or c.acked != 50:
                faults.append(f"50 acknowledged records are expected, not {c.acked}, and their rows, not {len(ids)}")
        elif c.acked != c.sent or not c.sent:
            faults.append(f"{c.acked} of {c.sent} records were acknowledged: {c.error or last_line(c.log)}")
        if c.step.startswith("re") and c.step != "refused":
            remarks.insert(0, f"{len(opened)} connections")
            if "frail" in self.options and c.step != "recreate":
                remarks.insert(1, "of close signals: at the server's end this SDK gives up, as it gets no token")
            # Without recovery the Rust core takes no notice of the close signal.
            if len(opened) < (2 if c.step == "recreate" else 3):
                faults.append("too few: a close signal and the end of the server make one each")
            if c.step == "recreate" and not c.recreated:
                faults.append("no stream was recreated")
        text = "; ".join(faults) or "ok"
        c.note(text + (f" ({', '.join(remarks)})" if remarks else ""), len(got))

    def kept(self, c, i):
        """Whether a lost record never left the SDK, by what it says itself when the stream is recreated: it gives back records
        before this one as not acknowledged, so that this one, which it does not give back, is not either. When it gives back
        nothing, the record must be after those that the stream made durable."""
        k, (_, back) = next(((k, r) for k, r in enumerate(c.recreated) if r[0] > i), (0, (0, None)))
        if not back and k == 0 and back is not None:
            durable = next(iter(self.lines("stream closed", c.table)), " requests=0 ").partition(" requests=")[2].split()[0]
            return i >= int(durable)
        return bool(back) and i not in back and i > max(back)

    def lines(self, what, table):
        """What the server's log says about the table's streams."""
        with open(self.out + "/serve.log") as f:
            return [line for line in f if f'msg="{what}"' in line and f"table=main.default.{table} " in line]

    def opened(self, table):
        """When the table's streams were opened, by the server's log."""
        return [datetime.datetime.fromisoformat(line.split()[0].removeprefix("time=")).timestamp()
                for line in self.lines("stream opened", table)]


def last_line(path):
    with open(path) as f:
        lines = f.read().strip().splitlines()
    return lines[-1] if lines else ""


def table(out):
    rows = [("SDK", "version", "what", "records", "result")]
    with open(out + "/rows.tsv") as f:
        rows += [tuple(line.rstrip("\n").split("\t")) for line in f]
    width = [max(len(r[i]) for r in rows) for i in range(4)]
    print()
    for r in rows:
        print("  ".join(x.rjust(w) if i == 3 else x.ljust(w) for i, (x, w) in enumerate(zip(r, width))) + "  " + r[4])
    ok, none = (sum(r[4].startswith(word) for r in rows[1:]) for word in ("ok", "not run"))
    failed = len(rows) - 1 - ok - none
    print(f"\ninterop: {ok} rows ok, {none} not run, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if sys.argv[1] == "table":
        sys.exit(table(sys.argv[2]))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    one = Run(*sys.argv[2:7], sys.argv[7:])
    try:
        one.all()
    finally:
        if one.server.process.poll() is None:
            one.server.process.terminate()
            one.server.process.wait()
    sys.stdout.flush()
    os._exit(0)  # at once: threads of delta-rs may abort the process on the usual way out
