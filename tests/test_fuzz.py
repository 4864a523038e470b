"""The API as a stranger sees it: requests made from its own description, and bodies that are nothing at all."""

import itertools
import os
import random
import subprocess
import sys

import httpx
import pytest

from penstock.store.store import open_store
from tests.conftest import customers, make_pipeline
from tests.servers import serving
from tests.test_serving import rows

BODIES = int(os.environ.get("PENSTOCK_FUZZ_BODIES", "2000"))
"""How many malformed bodies; 100,000 before a release."""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzzed")
    customers().write_csv(folder / "customers.csv")
    store = open_store(folder / "s")
    make_pipeline(folder).run(store).raise_for_status()
    store.close()
    with serving(folder / "s") as (client, process):
        yield client, process


def test_requests_made_from_the_description_are_never_a_server_error(served):
    pytest.importorskip("schemathesis")
    client, _ = served
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", f"{client.base_url}/openapi.json", "--checks",
        "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        "--max-examples", "40", "--phases", "examples,fuzzing", "--generation-database", "none", "--no-color", "--seed", "1",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "passed" in done.stdout


def malformed(seed: int, count: int):
    """Whole requests with bytes changed, cut, doubled and moved; and numbers, nests and texts of any kind."""
    random_ = random.Random(seed)
    import json

    whole = json.dumps({"rows": rows(2)}).encode()
    odd = [b"null", b"[]", b"{}", b'{"rows":null}', b'{"rows":[null]}', b'{"rows":[{"age":1e999}]}', b"\xff\xfe\x00", b'"\\ud800"',
           b'{"rows":[{"age":' + b"9" * 400 + b"}]}", b"[" * 2000, b'{"rows":[' + b"{}," * 500 + b"{}]}", b'{"columns":{"age":[[]]}}']  # fmt: skip
    for number in itertools.count():
        if number == count:
            return
        if number % 10 == 0:
            yield random_.choice(odd)
            continue
        body = bytearray(whole)
        for _ in range(random_.randint(1, 6)):
            at = random_.randrange(len(body))
            what = random_.randrange(4)
            if what == 0:
                body[at] = random_.randrange(256)
            elif what == 1:
                del body[at : at + random_.randrange(1, 20)]
            elif what == 2:
                body[at:at] = body[at : at + random_.randrange(1, 20)]
            else:
                body[at:at] = bytes(random_.choice(b'{}[]",:0-eE.\\nultrfa') for _ in range(random_.randrange(1, 5)))
            if not body:
                body = bytearray(b"0")
        yield bytes(body)


def resident(pid: int) -> int:
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_malformed_bodies_are_told_and_cost_no_memory(served):
    client, process = served
    paths = ["/predict", "/predict", "/predict", "/feedback", "/events", "/invocations", "/v2/models/customers/infer"]
    kinds = ["application/json", "application/json", "text/csv", "application/vnd.apache.arrow.stream"]
    random_, before, codes = random.Random(7), 0, {}
    with httpx.Client(base_url=client.base_url, timeout=30) as other:
        for number, body in enumerate(malformed(3, BODIES)):
            answer = other.post(random_.choice(paths), content=body, headers={"content-type": random_.choice(kinds)})
            codes[answer.status_code] = codes.get(answer.status_code, 0) + 1
            assert answer.status_code in (200, 400, 404, 413, 422), (answer.status_code, answer.text, body)
            if number == BODIES // 2:
                before = resident(process.pid)
    assert resident(process.pid) - before < 20e6
    assert codes[422] > BODIES / 4
    assert client.post("/predict", json={"rows": rows()}).status_code == 200
