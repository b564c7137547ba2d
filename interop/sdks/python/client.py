"""Every version of databricks-zerobus-ingest-sdk from PyPI: 0.1 and 0.2, which are pure Python, and 1.x, which has other calls."""

import collections
import json
import os
import subprocess
import sys
import time

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from zerobus.sdk import shared
from zerobus.sdk.sync import ZerobusSdk, ZerobusStream

env = {k.removeprefix("ZEROBUS_").lower(): v for k, v in os.environ.items() if k.startswith("ZEROBUS_")}
JSON = env["format"] == "json"
OLD = not hasattr(ZerobusStream, "ingest_records_offset")

with open(env["descriptors"], "rb") as f:
    for file in descriptor_pb2.FileDescriptorSet.FromString(f.read()).file:
        descriptor_pool.Default().Add(file)
DESCRIPTOR = descriptor_pool.Default().FindMessageTypeByName("interop.Reading")
Reading = message_factory.GetMessageClass(DESCRIPTOR)


def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # at once: callbacks are on a thread of their own


def record(i):
    r = {"id": i, "device": f"sensor-{i % 10} 🎈", "temp": None if i % 7 == 0 else i % 50 - 10, "level": i / 8}
    return r if JSON else Reading(**{k: v for k, v in r.items() if v is not None})


def bad():
    return {"id": 1, "surprise": True} if JSON else Reading(device="without an id")


def id_of(r):
    """The id in a record that the SDK gives back; -1 for the bad one."""
    if isinstance(r, bytes):
        r = json.loads(r) if JSON else Reading.FromString(r)
    if isinstance(r, dict):
        return -1 if "surprise" in r else r["id"]
    return r.id if r.HasField("id") else -1


def connect(recovery=True, callback=None):
    # More tries than the usual four: a server on a busy machine may be away longer.
    options = {"recovery": recovery, "recovery_retries": 30}
    if hasattr(shared, "RecordType"):
        options["record_type"] = shared.RecordType.JSON if JSON else shared.RecordType.PROTO
    if callback:
        options["ack_callback"] = callback
    table = shared.TableProperties(env["table"]) if JSON else shared.TableProperties(env["table"], DESCRIPTOR)
    sdk = ZerobusSdk(env["endpoint"], env["workspace"])
    return sdk, sdk.create_stream(env["client_id"], env["client_secret"], table, shared.StreamConfigurationOptions(**options))


class Sender:
    """Counts records, and says what is acknowledged as soon as the SDK tells."""

    def __init__(self):
        self.sent, self.upto, self.acks, self.errors = 0, [], collections.deque(), []
        callback = None
        if not OLD:
            class Callback(shared.AckCallback):
                def on_ack(_, offset):
                    say("acked", self.upto[offset])

                def on_error(_, offset, message):
                    self.errors.append(message)
            callback = Callback()
        self.sdk, self.stream = connect(callback=callback)

    def put(self):
        n = self.sent + 1
        self.upto.append(n)  # before the call: the callback may come during it
        if OLD:
            self.acks.append((n, self.stream.ingest_record(record(self.sent))))
        else:
            assert self.stream.ingest_record_offset(record(self.sent)) == len(self.upto) - 1
        self.done(n)

    def put_batch(self, size):
        n = self.sent + size
        self.upto.append(n)
        assert self.stream.ingest_records_offset([record(i) for i in range(self.sent, n)]) == len(self.upto) - 1
        self.done(n)

    def done(self, n):
        self.sent = n
        say("sent", n)
        while self.acks and self.acks[0][1].is_done():
            n, ack = self.acks.popleft()
            ack.wait_for_ack()  # raises when it failed
            say("acked", n)

    def wait(self):
        if OLD:
            self.acks[-1][1].wait_for_ack(30) if self.acks else None
        else:
            self.stream.wait_for_offset(len(self.upto) - 1)

    def end(self):
        self.stream.flush()
        say("acked", self.sent)
        self.stream.close()


def single():
    s = Sender()
    for i in range(300):
        s.put()
        if i < 10:
            s.wait()
    s.end()


def batch():
    s = Sender()
    for i in range(20):
        s.put_batch(50)
        if i < 3:
            s.wait()
    s.end()


def refused():
    s = Sender()
    for _ in range(50):
        s.put()
    s.stream.flush()
    say("acked", 50)

    def attempt(call, *args):
        try:
            return call(*args)
        except shared.ZerobusException as e:
            s.errors.append(str(e))

    send = s.stream.ingest_record if OLD else s.stream.ingest_record_offset
    sent = [send(bad())]
    for i in range(51, 100):
        ack = attempt(send, record(i))
        if ack is None:
            break  # the stream has ended already
        sent.append(ack)
    say("sent", 50 + len(sent))
    attempt(sent[0].wait_for_ack if OLD else lambda: s.stream.wait_for_offset(sent[0]))
    attempt(s.stream.flush)
    attempt(s.stream.close)
    say("error", " / ".join(s.errors).replace("\n", " "))
    say("unacked", *(id_of(r) for r in s.stream.get_unacked_records()))


def secret():
    try:
        connect()
    except shared.ZerobusException as e:
        say("error", str(e).replace("\n", " "))


def generate():
    subprocess.run([sys.executable, "-m", "zerobus.tools.generate_proto", "--uc-endpoint", env["workspace"], "--client-id", env["client_id"],
                    "--client-secret", env["client_secret"], "--table", env["table"], "--output", env["until"] + ".proto",
                    "--proto-msg", "Reading"], check=True, stdout=sys.stderr)
    with open(env["until"] + ".proto") as f:
        say("fields", *(line.strip() for line in f if line.strip().startswith(("required", "optional"))))


def reconnect(put):
    s = Sender()
    while not os.path.exists(env["until"]):
        put(s)
        time.sleep(0.005)
    s.end()


def recreate():
    """Without recovery the stream ends with the server, and the next one takes over what is not acknowledged."""
    sdk, stream = connect(recovery=False)
    sent = 0

    def again(old):
        try:
            old.close()
        except shared.ZerobusException:
            pass
        say("recreated", *(id_of(r) for r in old.get_unacked_records()))
        for _ in range(20):
            try:
                return sdk.recreate_stream(old)
            except shared.ZerobusException as e:  # the server is not back yet
                print(e, file=sys.stderr)
                time.sleep(1)
        raise SystemExit("no stream could be recreated")

    while not os.path.exists(env["until"]):
        try:
            say("sent", sent + 1)
            stream.ingest_record(record(sent)) if OLD else stream.ingest_record_offset(record(sent))
            sent += 1
        except shared.ZerobusException as e:
            print(e, file=sys.stderr)
            stream = again(stream)
        if sent == 100:
            stream.flush()
            say("acked", 100)
        time.sleep(0.005)
    for _ in range(5):
        try:
            stream.flush()
            break
        except shared.ZerobusException as e:
            print(e, file=sys.stderr)
            stream = again(stream)
    say("sent", sent)
    say("acked", sent)
    stream.close()


STEPS = {
    "single": single, "batch": batch, "refused": refused, "generate": generate, "secret": secret, "recreate": recreate,
    "reconnect": lambda: reconnect(Sender.put), "reconnect-batch": lambda: reconnect(lambda s: s.put_batch(20)),
}

if __name__ == "__main__":
    STEPS[sys.argv[1]]()
    os._exit(0)  # at once: callbacks of the Rust core on the way out abort the process
