import com.databricks.zerobus.AckCallback;
import com.databricks.zerobus.StreamConfigurationOptions;
import com.databricks.zerobus.ZerobusException;
import com.databricks.zerobus.ZerobusJsonStream;
import com.databricks.zerobus.ZerobusProtoStream;
import com.databricks.zerobus.ZerobusSdk;
import com.google.protobuf.DescriptorProtos.FileDescriptorSet;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.DynamicMessage;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;

/** com.databricks:zerobus-ingest-sdk from Maven Central. */
public class Client {
    static final boolean JSON = env("FORMAT").equals("json");
    static final PrintStream OUT = new PrintStream(System.out, true, StandardCharsets.UTF_8);
    static final Descriptor READING = reading();

    static String env(String name) {
        return System.getenv("ZEROBUS_" + name);
    }

    static Descriptor reading() {
        try {
            var files = FileDescriptorSet.parseFrom(Files.readAllBytes(Path.of(env("DESCRIPTORS"))));
            return FileDescriptor.buildFrom(files.getFile(0), new FileDescriptor[0]).findMessageTypeByName("Reading");
        } catch (Exception e) {
            throw new IllegalStateException(e);
        }
    }

    static void say(String line) {
        OUT.println(line);
    }

    static DynamicMessage.Builder set(DynamicMessage.Builder b, String field, Object value) {
        return value == null ? b : b.setField(READING.findFieldByName(field), value);
    }

    static String json(long i) {
        return String.format("{\"id\":%d,\"device\":\"sensor-%d 🎈\",\"temp\":%s,\"level\":%s}", i, i % 10, temp(i), i / 8.0);
    }

    static DynamicMessage proto(long i) {
        var b = set(DynamicMessage.newBuilder(READING), "id", i);
        return set(set(set(b, "device", "sensor-" + i % 10 + " 🎈"), "temp", temp(i)), "level", i / 8.0).build();
    }

    static Integer temp(long i) {
        return i % 7 == 0 ? null : (int) (i % 50 - 10);
    }

    /** A stream of either kind: the SDK has two classes without a common type. */
    static class Stream {
        ZerobusJsonStream json;
        ZerobusProtoStream proto;

        static Stream open(ZerobusSdk sdk, boolean recovery, AckCallback acks) throws Exception {
            // More tries than the usual four: a server on a busy machine may be away longer.
            var options = StreamConfigurationOptions.builder().setRecovery(recovery).setRecoveryRetries(30);
            if (acks != null) {
                options.setAckCallback(acks);
            }
            var s = new Stream();
            if (JSON) {
                s.json = sdk.createJsonStream(env("TABLE"), env("CLIENT_ID"), env("CLIENT_SECRET"), options.build()).get();
            } else {
                s.proto = sdk.createProtoStream(env("TABLE"), READING.toProto(), env("CLIENT_ID"), env("CLIENT_SECRET"), options.build()).get();
            }
            return s;
        }

        Stream recreate(ZerobusSdk sdk) throws Exception {
            var s = new Stream();
            if (JSON) {
                s.json = sdk.recreateStream(json).get();
            } else {
                s.proto = sdk.recreateStream(proto).get();
            }
            return s;
        }

        long ingest(long i) throws ZerobusException {
            return JSON ? json.ingestRecordOffset(json(i)) : proto.ingestRecordOffset(proto(i));
        }

        long ingestBad() throws ZerobusException {
            return JSON ? json.ingestRecordOffset("{\"id\":1,\"surprise\":true}")
                : proto.ingestRecordOffset(set(DynamicMessage.newBuilder(READING), "device", "without an id").build());
        }

        long ingest(long from, long to) throws ZerobusException {
            var texts = new ArrayList<String>();
            var messages = new ArrayList<DynamicMessage>();
            for (var i = from; i < to; i++) {
                if (JSON) {
                    texts.add(json(i));
                } else {
                    messages.add(proto(i));
                }
            }
            Iterable<DynamicMessage> iterable = messages;
            return JSON ? json.ingestRecordsOffset(texts).get() : proto.ingestRecordsOffset(iterable).get();
        }

        void await(long offset) throws ZerobusException {
            if (JSON) {
                json.waitForOffset(offset);
            } else {
                proto.waitForOffset(offset);
            }
        }

        void flush() throws ZerobusException {
            if (JSON) {
                json.flush();
            } else {
                proto.flush();
            }
        }

        void close() throws ZerobusException {
            if (JSON) {
                json.close();
            } else {
                proto.close();
            }
        }

        /** The ids of the records that the SDK gives back; -1 for the bad one. */
        List<String> unacked() throws Exception {
            var ids = new ArrayList<String>();
            if (JSON) {
                for (var s : json.getUnackedRecords()) {
                    ids.add(s.contains("surprise") ? "-1" : s.substring(6, s.indexOf(',')));
                }
            } else {
                var id = READING.findFieldByName("id");
                for (var b : proto.getUnackedRecords()) {
                    var m = DynamicMessage.parseFrom(READING, b);
                    ids.add(m.hasField(id) ? m.getField(id).toString() : "-1");
                }
            }
            return ids;
        }
    }

    /** Says what is acknowledged. An offset is the number of a request, and every request has as many records. */
    static class Acks implements AckCallback {
        final int size;
        final List<String> errors = new CopyOnWriteArrayList<>();

        Acks(int size) {
            this.size = size;
        }

        public void onAck(long offset) {
            say("acked " + (offset + 1) * size);
        }

        public void onError(long offset, String message) {
            errors.add(message);
        }
    }

    interface Call {
        void run() throws Exception;
    }

    static void attempt(List<String> errors, Call call) {
        try {
            call.run();
        } catch (Exception e) {
            errors.add(e.getMessage());
        }
    }

    static void send(ZerobusSdk sdk, int requests, int size, int waits) throws Exception {
        var s = Stream.open(sdk, true, new Acks(size));
        for (var i = 0; i < requests; i++) {
            var offset = size == 1 ? s.ingest(i) : s.ingest(i * size, (i + 1) * size);
            say("sent " + (i + 1) * size);
            if (i < waits) {
                s.await(offset);
            }
        }
        s.flush();
        say("acked " + requests * size);
        s.close();
    }

    static void refused(ZerobusSdk sdk) throws Exception {
        var acks = new Acks(1);
        var s = Stream.open(sdk, true, acks);
        for (var i = 0; i < 50; i++) {
            s.ingest(i);
            say("sent " + (i + 1));
        }
        s.flush();
        say("acked 50");
        var errors = new ArrayList<String>();
        var offset = s.ingestBad();
        var sent = 51;
        try {
            for (; sent < 100; sent++) {
                s.ingest(sent);
            }
        } catch (ZerobusException e) {
            errors.add(e.getMessage()); // the stream has ended already
        }
        say("sent " + sent);
        attempt(errors, () -> s.await(offset));
        attempt(errors, s::flush);
        // No close: the stream has ended, and this version forgets what is not acknowledged when it is told again.
        errors.addAll(acks.errors);
        say("error " + String.join(" / ", errors).replace('\n', ' '));
        say("unacked " + String.join(" ", s.unacked()));
    }

    /** The SDK's tool for a table's message, in a process of its own, which it may end as it likes. */
    static void generate() throws Exception {
        var file = env("UNTIL") + ".proto";
        var java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        new ProcessBuilder(java, "-cp", System.getProperty("java.class.path"), "com.databricks.zerobus.tools.GenerateProto",
            "--uc-endpoint", env("WORKSPACE"), "--client-id", env("CLIENT_ID"), "--client-secret", env("CLIENT_SECRET"),
            "--table", env("TABLE"), "--output", file, "--proto-msg", "Reading")
            .redirectErrorStream(true).redirectOutput(ProcessBuilder.Redirect.to(Path.of(file + ".log").toFile())).start().waitFor();
        var fields = Files.readAllLines(Path.of(file)).stream().map(String::strip).filter(s -> s.matches("(required|optional) .*"));
        say("fields " + String.join(" ", fields.toList()));
    }

    static void reconnect(ZerobusSdk sdk, int size) throws Exception {
        var s = Stream.open(sdk, true, new Acks(size));
        long sent = 0;
        while (!Files.exists(Path.of(env("UNTIL")))) {
            if (size == 1) {
                s.ingest(sent);
            } else {
                s.ingest(sent, sent + size);
            }
            sent += size;
            say("sent " + sent);
            Thread.sleep(5);
        }
        s.flush();
        say("acked " + sent);
        s.close();
    }

    /** Without recovery the stream ends with the server, and the next one takes over what is not acknowledged. */
    static void recreate(ZerobusSdk sdk) throws Exception {
        var s = Stream.open(sdk, false, null);
        long sent = 0;
        while (!Files.exists(Path.of(env("UNTIL")))) {
            say("sent " + (sent + 1));
            try {
                s.ingest(sent);
                sent++;
            } catch (ZerobusException e) {
                System.err.println(e.getMessage());
                s = again(sdk, s);
            }
            if (sent == 100) {
                s.flush();
                say("acked 100");
            }
            Thread.sleep(5);
        }
        for (var i = 0; i < 5; i++) {
            try {
                s.flush();
                break;
            } catch (ZerobusException e) {
                System.err.println(e.getMessage());
                s = again(sdk, s);
            }
        }
        say("sent " + sent);
        say("acked " + sent);
        s.close();
    }

    static Stream again(ZerobusSdk sdk, Stream old) throws Exception {
        // This version recreates closed streams only, and forgets what is not acknowledged when it closes one.
        var unacked = old.unacked();
        say("recreated " + String.join(" ", unacked));
        attempt(new ArrayList<>(), old::close);
        for (var i = 0;; i++) {
            try {
                var s = old.recreate(sdk);
                for (var id : unacked) {
                    s.ingest(Long.parseLong(id));
                }
                return s;
            } catch (ExecutionException | ZerobusException e) {
                if (i == 20) {
                    throw e; // before that the server is not back yet
                }
                System.err.println(e.getMessage());
                Thread.sleep(1000);
            }
        }
    }

    public static void main(String[] args) throws Exception {
        try (var sdk = new ZerobusSdk(env("ENDPOINT"), env("WORKSPACE"))) {
            switch (args[0]) {
                case "single" -> send(sdk, 300, 1, 10);
                case "batch" -> send(sdk, 20, 50, 3);
                case "refused" -> refused(sdk);
                case "generate" -> generate();
                case "secret" -> {
                    try {
                        Stream.open(sdk, true, null);
                    } catch (ExecutionException e) {
                        say("error " + e.getMessage().replace('\n', ' '));
                    }
                }
                case "reconnect" -> reconnect(sdk, 1);
                case "reconnect-batch" -> reconnect(sdk, 20);
                case "recreate" -> recreate(sdk);
                default -> throw new IllegalArgumentException(args[0]);
            }
        }
    }
}
