"""Real servers for tests, on sockets or loopback ports of their own; each is ended by who started it."""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

MARIADB = ("/usr/sbin/mariadbd", "/usr/bin/mariadb-install-db")


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


def _folder(prefix: str, user_name: str) -> tuple[Path, dict]:
    """A folder that belongs to the server's user, and how to run things as that user."""
    data = Path(tempfile.mkdtemp(prefix=prefix))
    if os.getuid() != 0:
        return data, {}
    user = pwd.getpwnam(user_name)
    os.chown(data, user.pw_uid, user.pw_gid)
    return data, {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


@contextlib.contextmanager
def postgresql() -> Iterator[tuple[Path, int]]:
    """Yield the folder of the socket and the port on loopback of a PostgreSQL server; its user is ``penstock``."""
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").exists() else []
    if not places:
        pytest.skip("PostgreSQL is not installed")
    data, as_user = _folder("penstock-pg-", "postgres")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True, "cwd": data, **as_user}
    (data / "password").write_text("tops3cret")
    os.chmod(data / "password", 0o644)
    subprocess.run(
        [places[-1] / "initdb", "-D", data / "db", "-A", "scram-sha-256", "--auth-local=trust", "-U", "penstock",
         "--pwfile", data / "password"],
        **quiet,
    )  # fmt: skip
    port = free_port()
    options = f"-k {data} -c listen_addresses=127.0.0.1 -c port={port} -c fsync=off"
    subprocess.run([places[-1] / "pg_ctl", "-D", data / "db", "-w", "-o", options, "start"], **quiet)
    try:
        yield data, port
    finally:
        subprocess.run([places[-1] / "pg_ctl", "-D", data / "db", "-m", "immediate", "stop"], **quiet)
        shutil.rmtree(data, ignore_errors=True)


@contextlib.contextmanager
def mariadb() -> Iterator[int]:
    """Yield the loopback port of a MariaDB server with a database ``shop``; its user is ``penstock``."""
    if not all(Path(item).exists() for item in MARIADB):
        pytest.skip("MariaDB is not installed")
    import pymysql

    data, as_user = _folder("penstock-my-", "mysql")
    plain = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": data, **as_user}
    user = [] if os.getuid() == 0 else ["--auth-root-authentication-method=normal"]
    subprocess.run([MARIADB[1], "--no-defaults", f"--datadir={data}/db", "--skip-test-db", *user], check=True, **plain)
    port = free_port()
    process = subprocess.Popen(
        [MARIADB[0], "--no-defaults", f"--datadir={data}/db", f"--socket={data}/s", f"--port={port}",
         "--bind-address=127.0.0.1", f"--pid-file={data}/pid", "--skip-networking=0", "--skip-grant-tables=0"],
        **plain,
    )  # fmt: skip
    try:
        for _ in range(300):
            with contextlib.suppress(pymysql.err.OperationalError, FileNotFoundError):
                who = "mysql" if os.getuid() == 0 else pwd.getpwuid(os.getuid()).pw_name
                root = pymysql.connect(unix_socket=f"{data}/s", user="root")
                break
            assert process.poll() is None, "MariaDB has ended"
            time.sleep(0.1)
        else:
            pytest.fail(f"MariaDB does not answer (as {who})")
        with root, root.cursor() as cursor:
            cursor.execute("CREATE DATABASE shop CHARACTER SET utf8mb4")
            cursor.execute("CREATE USER penstock@'%' IDENTIFIED BY 'tops3cret'")
            cursor.execute("GRANT ALL ON shop.* TO penstock@'%'")
        yield port
    finally:
        process.terminate()
        process.wait(30)
        shutil.rmtree(data, ignore_errors=True)


@contextlib.contextmanager
def s3() -> Iterator[str]:
    """Yield the URL of an S3 over real HTTP; it is moto's server, a fake of Amazon's that speaks its protocol."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextlib.contextmanager
def announced(*words: object, **environment: str) -> Iterator[tuple[httpx.Client, subprocess.Popen]]:
    """Start a server as a person does and read where it listens; yield a client and its process, ended in the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "penstock", *map(str, words), "--port", "0", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    try:
        text = ""
        while not text.rstrip().endswith("\n}"):
            line = process.stdout.readline()
            assert line, process.stderr.read()
            text += line
        with httpx.Client(base_url=json.loads(text)["url"], timeout=20) as client:
            yield client, process
    finally:
        process.terminate()
        process.told = process.communicate(timeout=20)[1]


@contextlib.contextmanager
def serving(store: Path, *options: str, name: str = "customers") -> Iterator[tuple[httpx.Client, subprocess.Popen]]:
    """Serve a model; yield a client and the process."""
    with announced("serve", name, "--store", store, *options) as (client, process):
        yield client, process


@contextlib.contextmanager
def pages(store: Path, **environment: str) -> Iterator[httpx.Client]:
    """Serve the pages of a store; yield a client."""
    with announced("ui", "--store", store, **environment) as (client, process):
        yield client
    assert "error" not in process.told, process.told
