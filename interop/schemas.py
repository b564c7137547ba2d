"""Random tables: their descriptors from the tool, their messages by Google's protobuf, their rows read back by delta-rs.

usage: schemas.py send|read ZEROBUS_BINARY OUT_DIR

send creates tables of random columns, has the tool generate a .proto file and a descriptor for each from the server's
Unity Catalog endpoint, compiles the file with protoc and compares the two, makes random messages of the descriptor and
streams them. read compares every row with what was sent.
"""

import decimal
import json
import os
import random
import sys

TABLES, ROWS = 40, 60
MODE = sys.argv[1]
OUT = sys.argv[3]
del sys.argv[1]

NAMES = ["id", "message", "optional", "string", "select", "a_b", "aB", "CamelCase", "x1", "_x", "to", "syntax", "repeated", "t_2",
         "order", "group", "int32", "map", "required", "reserved", "device_name", "temp", "Value", "key"]


def schema(rnd):
    """Columns as (name, DDL type, NOT NULL, generator of values as protobuf has them)."""
    def integer(bits):
        low, high = -2**(bits - 1), 2**(bits - 1) - 1
        return lambda: rnd.choice([low, high, 0, -1, 1]) if rnd.random() < 0.2 else rnd.randint(low, high)

    def text(longest):
        letters = "ab '\"\\\n{}:,ü€🎈"
        return lambda: "".join(rnd.choice(letters) for _ in range(rnd.choice([0, 1, longest, rnd.randint(0, longest)])))

    def number(precision, scale):
        def make():
            digits = rnd.randint(0, 10**rnd.randint(1, precision) - 1) * rnd.choice([-1, 1])
            return str(decimal.Decimal(digits).scaleb(-scale, decimal.Context(prec=40)))
        return make

    def column():
        precision = rnd.randint(1, 38)
        scale = rnd.randint(0, precision)
        length = rnd.randint(1, 20)
        return rnd.choice([
            ("BOOLEAN", lambda: rnd.random() < 0.5), ("TINYINT", integer(8)), ("SMALLINT", integer(16)), ("INT", integer(32)),
            ("BIGINT", integer(64)), ("FLOAT", lambda: rnd.choice([0.0, -1.5, 2.0**-149, 3.4028234663852886e38, rnd.randint(-999, 999) / 8])),
            ("DOUBLE", lambda: rnd.choice([0.0, 5e-324, -1.7976931348623157e308, rnd.uniform(-1e9, 1e9)])),
            (f"DECIMAL({precision},{scale})", number(precision, scale)), ("STRING", text(60)), (f"CHAR({length})", text(length)),
            (f"VARCHAR({length})", text(length)), ("BINARY", lambda: rnd.randbytes(rnd.randint(0, 30))),
            ("DATE", lambda: rnd.randint(-719162, 2932896)), ("TIMESTAMP", lambda: rnd.randint(-62135596800000000, 253402300799999999)),
            ("TIMESTAMP_NTZ", lambda: rnd.randint(-62135596800000000, 253402300799999999)),
        ])
    seen, names = set(), []
    for name in rnd.sample(NAMES, rnd.randint(1, len(NAMES))):
        if name.lower() not in seen:
            seen.add(name.lower())
            names.append(name)
    return [(name, *column(), rnd.random() < 0.3) for name in names]


def send():
    import subprocess

    import grpc
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    import client

    def compiled(proto, message):
        """The message of a file, as protoc reads it."""
        out = proto + ".pb"
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", os.path.dirname(proto), "--descriptor_set_out", out, proto], check=True)
        files = descriptor_pb2.FileDescriptorSet()
        with open(out, "rb") as f:
            files.ParseFromString(f.read())
        (found,) = [m for m in files.file[0].message_type if m.name == message]
        return found

    os.makedirs(OUT + "/schemas")
    rows = 0
    with grpc.insecure_channel(client.GRPC) as channel:
        for i in range(TABLES):
            rnd = random.Random(i)
            columns, table = schema(rnd), f"random_{i}"
            ddl = ", ".join(f"`{name}` {kind}{' NOT NULL' if required else ''}{rnd.choice(['', chr(32) + 'COMMENT ' + chr(39) + 'of ' + name + chr(39)])}"
                            for name, kind, _, required in columns)
            client.tool("sql", f"CREATE TABLE main.default.{table} ({ddl}) USING DELTA")
            creds = client.Credentials(f"random-{i}", "main.default." + table)
            proto, descriptor = f"{OUT}/schemas/{table}.proto", f"{OUT}/schemas/{table}.desc"
            subprocess.run([client.BINARY, "generate-proto", "--uc-endpoint", client.HTTP, "--client-id", creds.id, "--client-secret", creds.secret,
                            "--table", creds.table, "--output", proto, "--descriptor-out", descriptor], check=True, capture_output=True)
            d = descriptor_pb2.DescriptorProto()
            with open(descriptor, "rb") as f:
                d.ParseFromString(f.read())
            same = descriptor_pb2.DescriptorProto()
            same.CopyFrom(d)
            read = compiled(proto, table)
            for mine, protocs in zip(same.field, read.field):
                if not mine.json_name:  # protoc writes the one that it derives
                    mine.json_name = protocs.json_name
            assert read == same, f"{proto} and {descriptor} differ"

            pool = descriptor_pool.DescriptorPool()
            pool.Add(descriptor_pb2.FileDescriptorProto(name=table, message_type=[d]))
            message = message_factory.GetMessageClass(pool.FindMessageTypeByName(table))
            sent = []
            for _ in range(ROWS):
                sent.append({name: make() if required or rnd.random() < 0.8 else None for name, _, make, required in columns})
            stream = client.Stream(channel, creds, d.SerializeToString())
            stream.batch([message(**{k: v for k, v in r.items() if v is not None}).SerializeToString() for r in sent])
            stream.close()
            rows += len(sent)
            with open(f"{OUT}/schemas/{table}.json", "w") as f:
                json.dump([{k: v.hex() if isinstance(v, bytes) else v for k, v in r.items()} for r in sent], f)
    print(f"schemas   {TABLES} random tables, {rows} rows acknowledged")


def read():
    import deltalake

    import readers

    def written(value):
        """A value that delta-rs read, as it was sent."""
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, decimal.Decimal):
            return str(value)
        return value

    faults, rows = [], 0
    for i in range(TABLES):
        table = f"random_{i}"
        with open(f"{OUT}/schemas/{table}.json") as f:
            sent = json.load(f)
        kinds = {name: kind for name, kind, _, _ in schema(random.Random(i))}
        want = [{k: str(decimal.Decimal(v)) if v is not None and kinds[k].startswith("DECIMAL") else v for k, v in r.items()} for r in sent]
        got = readers.plain(deltalake.DeltaTable(readers.location(table)).to_pyarrow_table())
        got = [{k: written(v) for k, v in r.items()} for r in got]
        key = lambda r: json.dumps(r, sort_keys=True)
        rows += len(got)
        if sorted(map(key, got)) != sorted(map(key, want)):
            faults.append(f"{table}: {next(a for a, b in zip(sorted(map(key, got)), sorted(map(key, want))) if a != b)[:200]}")
    print(f"delta-rs  {deltalake.__version__}  {TABLES} random tables  {rows} rows  {'ok' if not faults else faults[0]}")
    readers.leave(1 if faults else 0)


send() if MODE == "send" else read()
