"""Keys: shown once, kept as digests, worthless once revoked; a service does not become open by losing them."""

import pytest

from penstock.deploy.keys import digest_of, keys_of, make_key, revoke, scopes_by_digest
from penstock.deploy.limits import Guard
from penstock.deploy.registry import Registry
from penstock.errors import InputError


@pytest.fixture
def held(store):
    Registry(store, "m").register("a", "run", {}, passed=True, promote=True, judged_against=None, why="test")
    return store


def asked(key=None, path="/predict"):
    headers = [] if key is None else [(b"authorization", f"Bearer {key}".encode())]
    return {"headers": headers, "client": ("10.0.0.1", 1), "path": path}


def test_all_may_ask_until_there_is_a_key_and_nobody_when_all_are_revoked(held):
    assert scopes_by_digest(held, "m") is None
    key = make_key(held, "m", "predict")
    assert scopes_by_digest(held, "m") == {digest_of(key): "predict"}
    revoke(held, "m", key.split("_")[1])
    assert scopes_by_digest(held, "m") == {}
    guard = Guard(scopes_by_digest(held, "m"))
    assert guard.refuse(asked(), "predict")[0] == 401
    assert guard.refuse(asked(key), "predict")[0] == 401


def test_scopes_say_what_a_key_is_for(held):
    keys = {scope: make_key(held, "m", scope) for scope in ("predict", "feedback", "admin")}
    guard = Guard(scopes_by_digest(held, "m"))
    for scope, key in keys.items():
        for need in ("predict", "feedback", "admin"):
            refused = guard.refuse(asked(key), need)
            assert (refused is None) == (scope in (need, "admin")), (scope, need)
    assert {item.scope for item in keys_of(held, "m")} == set(keys)


def test_a_key_of_nothing_is_refused(held):
    with pytest.raises(InputError, match="there are predict"):
        make_key(held, "m", "root")
    with pytest.raises(InputError, match="pipelines with models: m"):
        make_key(held, "typo", "predict")
    with pytest.raises(InputError, match="no key 'zz'"):
        revoke(held, "m", "zz")


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Basic !!!", b"Basic YQ==", b"Bearer \xff\xfe", b"Digest x"])
def test_headers_that_are_no_key_are_refused(held, value):
    make_key(held, "m", "predict")
    guard = Guard(scopes_by_digest(held, "m"))
    assert guard.refuse({"headers": [(b"authorization", value)], "client": None}, "predict")[0] == 401


def test_a_rate_is_kept_by_caller():
    guard = Guard(None, rate=3)
    one = [guard.refuse(asked(), "predict") for _ in range(5)]
    assert [item is None for item in one] == [True, True, True, False, False]
    assert one[3][0] == 429
    assert guard.refuse({"headers": [], "client": ("10.0.0.2", 1)}, "predict") is None
