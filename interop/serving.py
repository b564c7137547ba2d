"""The server under test, as a process of its own."""

import signal
import subprocess
import time


class Server:
    """`zerobus serve` on free ports with the data directory OUT/data, and more flags. Its log goes on in OUT/serve.log over restarts."""

    def __init__(self, binary, out, commit_interval="200ms", *more):
        self.binary, self.out, self.interval, self.more, self.process = binary, out, commit_interval, more, None

    def __enter__(self):
        log = open(self.out + "/serve.log", "ab")
        with open(self.out + "/serve.out", "wb") as printed:
            self.process = subprocess.Popen([self.binary, "serve", "--data", self.out + "/data", "--grpc-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                                             "--commit-interval", self.interval, *self.more], stdout=printed, stderr=log)
        log.close()
        end = time.monotonic() + 60
        while not any(line.startswith("data") for line in open(self.out + "/serve.out")):
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError("the server does not start: " + self.log()[-2000:])
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        """The end of the server commits what is left."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        if status:
            raise RuntimeError(f"the server ended with status {status}: " + self.log()[-2000:])

    def log(self):
        with open(self.out + "/serve.log") as f:
            return f.read()

    def complaints(self):
        return [line for line in self.log().splitlines() if "level=WARN" in line or "level=ERROR" in line]
