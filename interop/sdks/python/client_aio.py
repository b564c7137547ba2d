"""The same package through its asyncio interface, for what differs there."""

import asyncio
import os
import sys

from zerobus.sdk import shared
from zerobus.sdk.aio import ZerobusSdk

from client import DESCRIPTOR, JSON, OLD, env, record, say


async def connect():
    options = {"recovery_retries": 30}
    if hasattr(shared, "RecordType"):
        options["record_type"] = shared.RecordType.JSON if JSON else shared.RecordType.PROTO
    table = shared.TableProperties(env["table"]) if JSON else shared.TableProperties(env["table"], DESCRIPTOR)
    sdk = ZerobusSdk(env["endpoint"], env["workspace"])
    stream = await sdk.create_stream(env["client_id"], env["client_secret"], table, shared.StreamConfigurationOptions(**options))
    return sdk, stream


async def run(more, size=1, waits=0, pause=0):
    """Sends requests of that many records while there is more to do; the first ones are waited for."""
    sdk, stream = await connect()
    sent, requests, tasks = 0, 0, set()

    async def watch(ack, n):
        await (ack if OLD else stream.wait_for_offset(ack))
        say("acked", n)

    while more(requests):
        if size == 1:
            ack = await (stream.ingest_record if OLD else stream.ingest_record_offset)(record(sent))
        else:
            ack = await stream.ingest_records_offset([record(i) for i in range(sent, sent + size)])
        sent, requests = sent + size, requests + 1
        say("sent", sent)
        task = asyncio.create_task(watch(ack, sent))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if requests <= waits:
            await task
        await asyncio.sleep(pause)
    await stream.flush()
    await asyncio.gather(*tasks)
    say("acked", sent)
    await stream.close()


STEPS = {
    "single": lambda: run(lambda n: n < 300, waits=10),
    "batch": lambda: run(lambda n: n < 20, size=50, waits=3),
    "reconnect": lambda: run(lambda n: not os.path.exists(env["until"]), pause=0.005),
    "reconnect-batch": lambda: run(lambda n: not os.path.exists(env["until"]), size=20, pause=0.005),
}

if __name__ == "__main__":
    asyncio.run(STEPS[sys.argv[1]]())
    os._exit(0)
