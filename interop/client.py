"""A client that shares no code with ours: grpcio and code generated from the .proto.

usage: client.py ZEROBUS_BINARY OUT_DIR

Creates tables through the tool, streams rows of all scalar types into them as JSON and as protobuf, one record a request and in
batches, checks acknowledgements and refusals, and writes what it sent to OUT_DIR/sent-TABLE.json for the readers.
"""

import base64
import json
import queue
import random
import struct
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

import grpc

import all_types_pb2
import zerobus_service_pb2 as pb
import zerobus_service_pb2_grpc as rpc

BINARY, OUT = sys.argv[1:3]
DATA = OUT + "/data"
COLUMNS = ("id BIGINT NOT NULL, b BOOLEAN, i8 TINYINT, i16 SMALLINT, i32 INT, i64 BIGINT, f32 FLOAT, f64 DOUBLE, "
           "dec DECIMAL(20,4), s STRING, bin BINARY, day DATE, ts TIMESTAMP, ntz TIMESTAMP_NTZ")


def tool(*args):
    return subprocess.run([BINARY, *args, "--data", DATA], check=True, capture_output=True, text=True).stdout


def addresses():
    with open(OUT + "/serve.out") as f:
        lines = dict(line.split()[:2] for line in f)
    return lines["streams"].removeprefix("http://"), lines["http"]


GRPC, HTTP = addresses()


class Credentials:
    def __init__(self, name, table):
        c = json.loads(tool("principal", "create", name, "--json"))
        self.id, self.secret, self.table = c["client_id"], c["client_secret"], table
        tool("sql", f"GRANT USE CATALOG ON CATALOG main TO `{self.id}`; GRANT USE SCHEMA ON SCHEMA main.default TO `{self.id}`; "
                    f"GRANT SELECT, MODIFY ON TABLE {table} TO `{self.id}`;")

    def token(self, secret=None):
        catalog, schema, _ = self.table.split(".")
        detail = lambda privileges, kind, path: {
            "type": "unity_catalog_privileges", "privileges": privileges, "object_type": kind, "object_full_path": path}
        form = urllib.parse.urlencode({
            "grant_type": "client_credentials", "scope": "all-apis",
            "resource": "api://databricks/workspaces/127/zerobusDirectWriteApi",
            "authorization_details": json.dumps([
                detail(["USE CATALOG"], "CATALOG", catalog), detail(["USE SCHEMA"], "SCHEMA", f"{catalog}.{schema}"),
                detail(["SELECT", "MODIFY"], "TABLE", self.table)]),
        })
        basic = base64.b64encode(f"{self.id}:{secret or self.secret}".encode()).decode()
        req = urllib.request.Request(HTTP + "/oidc/v1/token", form.encode(), {"Authorization": "Basic " + basic})
        with urllib.request.urlopen(req, timeout=30) as r:
            return json.load(r)["access_token"]


class Stream:
    """One EphemeralStream. Requests go through a queue; the offset counts up by itself."""

    def __init__(self, channel, creds, descriptor=None):
        self.requests, self.offset, self.acked = queue.Queue(), 0, -1
        self.json = descriptor is None
        self.call = rpc.ZerobusStub(channel).EphemeralStream(
            iter(self.requests.get, None), timeout=120,
            metadata=[("authorization", "Bearer " + creds.token()), ("x-databricks-zerobus-table-name", creds.table)])
        create = pb.CreateIngestStreamRequest(table_name=creds.table, record_type=pb.JSON if self.json else pb.PROTO)
        if descriptor is not None:
            create.descriptor_proto = descriptor
        self.requests.put(pb.EphemeralStreamRequest(create_stream=create))
        first = next(self.call)
        assert first.create_stream_response.stream_id, first

    def record(self, r):
        kind = {"json_record": r} if self.json else {"proto_encoded_record": r}
        self._put(ingest_record=pb.IngestRecordRequest(offset_id=self.offset, **kind))

    def batch(self, rs):
        if self.json:
            kind = {"json_batch": pb.JsonRecordBatch(records=rs)}
        else:
            kind = {"proto_encoded_batch": pb.ProtoEncodedRecordBatch(records=rs)}
        self._put(ingest_record_batch=pb.IngestRecordBatchRequest(offset_id=self.offset, **kind))

    def _put(self, **payload):
        self.requests.put(pb.EphemeralStreamRequest(**payload))
        self.offset += 1

    def wait(self):
        while self.acked < self.offset - 1:
            up_to = next(self.call).ingest_record_response.durability_ack_up_to_offset
            assert self.acked < up_to < self.offset, (self.acked, up_to, self.offset)
            self.acked = up_to

    def close(self):
        self.wait()
        self.requests.put(None)
        rest = list(self.call)
        assert not rest, rest
        assert self.call.code() == grpc.StatusCode.OK, self.call.code()


def float32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


def rows(seed, count):
    """Rows as Python values, in the form of the protobuf fields; None for NULL."""
    rnd = random.Random(seed)
    extreme = {
        "b": [True, False], "i8": [-128, 127, 0], "i16": [-32768, 32767, 0], "i32": [-2**31, 2**31 - 1, 0],
        "i64": [-2**63, 2**63 - 1, 2**53 + 1, 0], "f32": [0.0, 1.5, float32(3.4e38), float32(1e-45)],
        "f64": [0.0, 5e-324, 1.7976931348623157e308, -2.5], "dec": ["0.0000", "-9999999999999999.9999", "0.0001"],
        "s": ["", "plain", "ünïcödé 🎈", 'quote " backslash \\ newline \n', "x" * 1000], "bin": [b"", bytes(range(256))],
        "day": [0, -719162, 2932896], "ts": [0, -1, 253402300799999999, 978307260000000], "ntz": [0, -62135596800000000, 978307260000001],
    }
    sample = {
        "b": lambda: rnd.random() < 0.5, "i8": lambda: rnd.randint(-128, 127), "i16": lambda: rnd.randint(-2**15, 2**15 - 1),
        "i32": lambda: rnd.randint(-2**31, 2**31 - 1), "i64": lambda: rnd.randint(-2**63, 2**63 - 1),
        "f32": lambda: float32(rnd.uniform(-1e6, 1e6)), "f64": lambda: rnd.uniform(-1e12, 1e12),
        "dec": lambda: f"{rnd.randint(-10**15, 10**15)}.{rnd.randint(0, 9999):04d}",
        "s": lambda: "".join(rnd.choice("abcdef ghü€🎈") for _ in range(rnd.randint(0, 40))),
        "bin": lambda: rnd.randbytes(rnd.randint(0, 20)), "day": lambda: rnd.randint(-700000, 2900000),
        "ts": lambda: rnd.randint(-6 * 10**16, 25 * 10**16), "ntz": lambda: rnd.randint(-6 * 10**16, 25 * 10**16),
    }
    for i in range(count):
        row = {"id": seed * 1_000_000 + i}
        for name in sample:
            if i < 8:
                row[name] = extreme[name][i % len(extreme[name])]
            else:
                row[name] = None if rnd.random() < 0.1 else sample[name]()
        yield row


def as_json(row):
    out = {k: base64.b64encode(v).decode() if k == "bin" else v for k, v in row.items() if v is not None}
    if row["id"] % 2:  # NULL is an absent key or null
        out = {k: out.get(k) for k in row}
    return json.dumps(out, ensure_ascii=row["id"] % 3 == 0)


def as_proto(row):
    return all_types_pb2.AllTypes(**{k: v for k, v in row.items() if v is not None}).SerializeToString()


def save(table, sent):
    with open(f"{OUT}/sent-{table}.json", "w") as f:
        json.dump([{k: base64.b64encode(v).decode() if isinstance(v, bytes) else v for k, v in r.items()} for r in sent], f)


def fill(channel, table, descriptor, encode):
    creds = Credentials("python-" + table, "main.default." + table)
    sent, stream = [], Stream(channel, creds, descriptor)
    singles = list(rows(1, 200))
    for r in singles[:20]:  # one at a time, each acknowledged
        stream.record(encode(r))
        stream.wait()
    for r in singles[20:]:
        stream.record(encode(r))
    sent += singles
    for seed in range(2, 6):
        batch = list(rows(seed, 500))
        stream.batch([encode(r) for r in batch])
        sent += batch
    stream.close()
    save(table, sent)
    print(f"client    {table:12} {len(sent):6} rows acknowledged")
    return creds


def refusals(channel, creds):
    try:
        creds.token(secret="wrong")
        raise AssertionError("a wrong secret got a token")
    except urllib.error.HTTPError as e:
        assert e.code == 401 and json.load(e)["error"] == "invalid_client"
    stream = Stream(channel, creds)
    stream.record('{"id":1,"surprise":true}')
    try:
        stream.wait()
        raise AssertionError("an unknown key was acknowledged")
    except grpc.RpcError as e:
        assert e.code() == grpc.StatusCode.INVALID_ARGUMENT and "4044" in e.details() and "surprise" in e.details(), e


def main():
    for table in ("json_types", "proto_types"):
        tool("sql", f"CREATE TABLE main.default.{table} ({COLUMNS}) USING DELTA")
    with grpc.insecure_channel(GRPC) as channel:
        creds = fill(channel, "json_types", None, as_json)
        from google.protobuf import descriptor_pb2
        d = descriptor_pb2.DescriptorProto()
        all_types_pb2.AllTypes.DESCRIPTOR.CopyToProto(d)
        fill(channel, "proto_types", d.SerializeToString(), as_proto)
        refusals(channel, creds)


if __name__ == "__main__":
    main()
