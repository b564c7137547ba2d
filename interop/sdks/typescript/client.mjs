// The native module of @databricks/zerobus-ingest-sdk from npm, which is all of the SDK but for types and helpers.
import { existsSync, readFileSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(process.env.ZEROBUS_MODULES + "/");
const { RecordType, ZerobusSdk } = require("@databricks/zerobus-ingest-sdk-linux-x64-gnu");
const protobuf = require("protobufjs");

const env = (name) => process.env["ZEROBUS_" + name];
const json = env("FORMAT") === "json";
const Reading = protobuf.loadSync(env("PROTO")).lookupType("interop.Reading");
const say = (...words) => writeSync(1, words.join(" ") + "\n");

function record(i) {
  const r = { id: i, device: `sensor-${i % 10} 🎈`, temp: i % 7 === 0 ? null : (i % 50) - 10, level: i / 8 };
  return json ? r : Reading.create(r);
}

const bad = () => (json ? { id: 1, surprise: true } : Reading.create({ device: "without an id" }));

// The id in a record that the SDK gives back; -1 for the bad one.
function idOf(buffer) {
  if (json) {
    const r = JSON.parse(buffer.toString());
    return "surprise" in r ? -1 : r.id;
  }
  const r = Reading.decode(buffer);
  return Object.hasOwn(r, "id") ? Number(r.id) : -1;
}

function descriptor() {
  const { FileDescriptorSet, DescriptorProto } = require("protobufjs/ext/descriptor");
  const set = FileDescriptorSet.decode(readFileSync(env("DESCRIPTORS")));
  return Buffer.from(DescriptorProto.encode(set.file[0].messageType[0]).finish()).toString("base64");
}

async function connect(recovery = true) {
  const sdk = new ZerobusSdk(env("ENDPOINT"), env("WORKSPACE"));
  const table = json ? { tableName: env("TABLE") } : { tableName: env("TABLE"), descriptorProto: descriptor() };
  // More tries than the usual four: a server on a busy machine may be away longer.
  const options = { recordType: json ? RecordType.Json : RecordType.Proto, recovery, recoveryRetries: 30 };
  return [sdk, await sdk.createStream(table, env("CLIENT_ID"), env("CLIENT_SECRET"), options)];
}

class Sender {
  sent = 0;

  static async create() {
    const s = new Sender();
    [s.sdk, s.stream] = await connect();
    return s;
  }

  async put() {
    return this.done(await this.stream.ingestRecordOffset(record(this.sent)), 1);
  }

  async putBatch(size) {
    const records = Array.from({ length: size }, (_, i) => record(this.sent + i));
    return this.done(await this.stream.ingestRecordsOffset(records), size);
  }

  done(offset, size) {
    this.sent += size;
    say("sent", this.sent);
    return offset;
  }

  // Says what is acknowledged without stopping the ingestion.
  watch(offset) {
    const n = this.sent;
    this.stream.waitForOffset(offset).then(() => say("acked", n), (e) => console.error(e));
  }

  async end() {
    await this.stream.flush();
    say("acked", this.sent);
    await this.stream.close();
  }
}

async function single() {
  const s = await Sender.create();
  for (let i = 0; i < 300; i++) {
    const offset = await s.put();
    if (i < 10) await s.stream.waitForOffset(offset);
  }
  await s.end();
}

async function batch() {
  const s = await Sender.create();
  for (let i = 0; i < 20; i++) {
    const offset = await s.putBatch(50);
    if (i < 3) await s.stream.waitForOffset(offset);
  }
  await s.end();
}

async function refused() {
  const s = await Sender.create();
  for (let i = 0; i < 50; i++) await s.put();
  await s.stream.flush();
  say("acked", 50);
  const errors = [];
  const attempt = async (call) => {
    try {
      await call();
      return true;
    } catch (e) {
      errors.push(e.message);
      return false;
    }
  };
  const offset = await s.stream.ingestRecordOffset(bad());
  s.sent++;
  while (s.sent < 100 && (await attempt(() => s.put())));
  say("sent", s.sent);
  await attempt(() => s.stream.waitForOffset(offset));
  await attempt(() => s.stream.flush());
  // The README wants close first, but after that this version has nothing more to say about the stream.
  say("error", errors.join(" / ").replaceAll("\n", " "));
  say("unacked", ...(await s.stream.getUnackedRecords()).map(idOf));
}

async function secret() {
  try {
    await connect();
  } catch (e) {
    say("error", e.message.replaceAll("\n", " "));
  }
}

async function reconnect(put) {
  const s = await Sender.create();
  while (!existsSync(env("UNTIL"))) {
    s.watch(await put(s));
    await sleep(5);
  }
  await s.end();
}

// Without recovery the stream ends with the server, and the next one takes over what is not acknowledged.
async function recreate() {
  let [sdk, stream] = await connect(false);
  const again = async () => {
    say("recreated", ...(await stream.getUnackedRecords()).map(idOf));
    for (let i = 0; ; i++) {
      try {
        stream = await sdk.recreateStream(stream);
        return;
      } catch (e) {
        if (i === 20) throw e; // before that the server is not back yet
        console.error(e.message);
        await sleep(1000);
      }
    }
  };
  let sent = 0;
  while (!existsSync(env("UNTIL"))) {
    say("sent", sent + 1);
    try {
      await stream.ingestRecordOffset(record(sent));
      sent++;
    } catch (e) {
      console.error(e.message);
      await again();
    }
    if (sent === 100) {
      await stream.flush();
      say("acked", 100);
    }
    await sleep(5);
  }
  for (let i = 0; i < 5; i++) {
    try {
      await stream.flush();
      break;
    } catch (e) {
      console.error(e.message);
      await again();
    }
  }
  say("sent", sent);
  say("acked", sent);
  await stream.close();
}

const steps = {
  single, batch, refused, secret, recreate,
  reconnect: () => reconnect((s) => s.put()),
  "reconnect-batch": () => reconnect((s) => s.putBatch(20)),
};
await steps[process.argv[2]]();
