"""A Ray cluster of two nodes, each in a network namespace of its own, joined by a pair of virtual cables."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

RAY = Path(sys.executable).with_name("ray")
HEAD, OTHER = "10.77.0.1", "10.77.0.2"
PORT, CLIENTS = 6399, 20077


class Cluster:
    """The head in one namespace, another node in the second; programs are started beside the head."""

    def __init__(self, pinned=False):
        self.pinned = pinned
        self.mark = secrets.token_hex(3)
        self.names = (f"ps{self.mark}a", f"ps{self.mark}b")
        token = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        # A machine busy with other tests may need more than Ray's half minute to start a client's server.
        patience = {"RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S": "120"}
        self.environment = {**os.environ, **token, **patience, "RAY_USAGE_STATS_ENABLED": "0"}
        self.environment.pop("RAY_ADDRESS", None)

    def up(self):
        """Make the namespaces and start both nodes, with one core each."""
        first, second = self.names
        cables = (f"v{self.mark}a", f"v{self.mark}b")
        for name in self.names:
            _ip("netns", "add", name)
        _ip("link", "add", cables[0], "netns", first, "type", "veth", "peer", "name", cables[1], "netns", second)
        for name, cable, address in zip(self.names, cables, (HEAD, OTHER), strict=True):
            _ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            for link in ("lo", cable):
                _ip("-n", name, "link", "set", link, "up")
        self._start(
            first, "--head", f"--port={PORT}", "--include-dashboard=false", f"--ray-client-server-port={CLIENTS}"
        )
        self.join()

    def join(self):
        """Start the second node."""
        self._start(self.names[1], f"--address={HEAD}:{PORT}")

    def _start(self, name, *options):
        address = HEAD if name == self.names[0] else OTHER
        pin = ["taskset", "-c", str(self.names.index(name))] if self.pinned else []
        subprocess.run(
            ["ip", "netns", "exec", name, *pin, RAY, "start", *options, f"--node-ip-address={address}", "--num-cpus=1",
             "--object-store-memory=200000000", "--disable-usage-stats"],
            check=True, capture_output=True, timeout=90, env=self.environment,
        )  # fmt: skip

    def begin(self, *words, cwd, attached=True):
        """Start a program in the head's namespace; `attached`, it finds the cluster by itself."""
        environment = {**self.environment, **({"RAY_ADDRESS": f"{HEAD}:{PORT}"} if attached else {})}
        return subprocess.Popen(
            ["ip", "netns", "exec", self.names[0], sys.executable, *map(str, words)], cwd=cwd, env=environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, *words, cwd, attached=True, limit=180):
        """Run a program to its end, which comes within `limit` seconds."""
        process = self.begin(*words, cwd=cwd, attached=attached)
        out, errors = process.communicate(timeout=limit)
        return subprocess.CompletedProcess(words, process.returncode, out, errors)

    def lose(self):
        """Kill every process of the second node, as when its power fails."""
        self._kill(self.names[1])

    def down(self):
        """End all of it."""
        for name in self.names:
            self._kill(name)
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)

    def _kill(self, name):
        listed = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
        for number in listed.stdout.split():
            try:
                os.kill(int(number), signal.SIGKILL)
            except ProcessLookupError:
                continue


@contextmanager
def cluster(pinned=False):
    """Yield a cluster of two nodes, each `pinned` to a core where asked; skips where namespaces cannot be made."""
    if shutil.which("ip") is None or os.geteuid() != 0:
        pytest.skip("network namespaces need root and iproute2")
    made = Cluster(pinned)
    try:
        made.up()
    except subprocess.CalledProcessError as error:
        made.down()
        if error.cmd[0] == "ip" and error.cmd[1] != "netns":
            raise
        pytest.skip(f"this machine makes no network namespaces: {error.stderr}")
    try:
        yield made
    finally:
        made.down()


def _ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True, timeout=10)
