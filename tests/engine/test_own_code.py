"""A function or class of the author's own is found again at serving, with all that it uses, or it is said what has changed."""

import hashlib
import importlib
import inspect
import os
import subprocess
import sys

import polars as pl
import pytest

from penstock.engine import reach
from penstock.engine.own_code import OwnCode, at_hand, folder_of
from penstock.errors import InputError

TABLE = pl.DataFrame({"a": [1, 2]})
STEPS = """
from __future__ import annotations
from dataclasses import dataclass
import polars as pl
{imported}

@dataclass
class Settings:
    plus: int = 1

def clean(table):
    return pl.DataFrame(table).with_columns(b=scaled(table["a"]) + Settings().plus)
"""
HELPER = "FACTOR = 2\n\ndef scaled(column):\n    return column * FACTOR\n"
LATER = """
import sys
import msgspec, polars as pl
from penstock.engine.own_code import OwnCode, look_in
look_in(sys.argv[1:])
reference = msgspec.json.decode(sys.stdin.buffer.read(), type=OwnCode)
print(reference.load()(pl.DataFrame({"a": [1, 2]}))["b"].to_list())
"""


@pytest.fixture
def steps(tmp_path, monkeypatch):
    """Two modules of an author, beside each other or in a package: the function, made from them as a run finds it."""

    def write(packaged=False, unique="steps"):
        folder = tmp_path / "project"
        inner = folder / "cleaning" if packaged else folder
        inner.mkdir(parents=True, exist_ok=True)
        if packaged:
            (inner / "__init__.py").write_text("")
        (inner / "helper_of_steps.py").write_text(HELPER)
        imported = "from .helper_of_steps import scaled" if packaged else "from helper_of_steps import scaled"
        (inner / f"{unique}.py").write_text(STEPS.format(imported=imported))
        monkeypatch.syspath_prepend(str(folder))
        importlib.invalidate_caches()
        name = f"cleaning.{unique}" if packaged else unique
        module = importlib.import_module(name)
        made.extend([name, "helper_of_steps", "cleaning", "cleaning.helper_of_steps"])
        return module.clean, inner

    made = []
    yield write
    for name in made:
        sys.modules.pop(name, None)


def in_a_service(reference, cwd, *known):
    """Load it in another process, which starts in `cwd`, where folders are known in which models were trained."""
    import msgspec

    told = subprocess.run(
        [sys.executable, "-c", LATER, *map(str, known)], input=msgspec.json.encode(reference), capture_output=True, cwd=cwd,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return told.stdout.decode().strip() or told.stderr.decode().strip().splitlines()[-1]


@pytest.mark.parametrize("packaged", [False, True])
def test_a_service_finds_it_with_the_modules_that_it_uses(steps, tmp_path, packaged):
    clean, folder = steps(packaged)
    reference, root = OwnCode.of(clean), folder.parent if packaged else folder
    assert folder_of(clean) == str(root)
    assert str(tmp_path) not in repr(reference)  # the same bytes wherever the project lies
    assert {place.rpartition("/")[2] for place in reference.places} >= {"steps.py", "helper_of_steps.py"}
    assert in_a_service(reference, tmp_path, root) == in_a_service(reference, root) == "[3, 5]"
    assert f"there is no {reference.place} where the model was trained (/no), in {tmp_path}" in in_a_service(
        reference, tmp_path, "/no"
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("helper_of_steps.py", "FACTOR = 2", "FACTOR = 3", "something that it uses .* has changed since"),
        ("helper_of_steps.py", "column * FACTOR", "column + FACTOR", "something that it uses .* has changed since"),
        ("steps.py", "plus: int = 1", "plus: int = 2", "something that it uses .* has changed since"),
        ("steps.py", 'b=scaled(table["a"])', 'b=0 * scaled(table["a"])', "something that it uses .* has changed since"),
        ("steps.py", "def clean", "def other", "something that it uses .* has changed since"),
        ("steps.py", "from dataclasses import", "from no_such_module import", "importing .* failed: ModuleNotFound"),
    ],
)
def test_what_has_changed_since_training_is_not_called(steps, tmp_path, file, old, new, says):
    clean, folder = steps()
    reference = OwnCode.of(clean)
    text = (folder / file).read_text()
    assert old in text
    (folder / file).write_text(text.replace(old, new))
    told = in_a_service(reference, tmp_path, folder)
    assert told.startswith("penstock.errors.InputError") and "Settings" not in told
    with pytest.raises(InputError, match=says):
        raise InputError(told)


def test_another_version_of_a_package_is_no_change_of_the_authors(steps, monkeypatch):
    clean, _ = steps()
    before = OwnCode.of(clean)
    monkeypatch.setattr(reach, "version_of", lambda name: (name, "0.0.1"))
    assert OwnCode.of(clean) == before


def test_two_versions_in_one_process_have_each_their_own_code(steps):
    clean, folder = steps()
    old = OwnCode.of(clean)
    assert old.load()(TABLE)["b"].to_list() == [3, 5]
    (folder / "helper_of_steps.py").write_text(HELPER.replace("FACTOR = 2", "FACTOR = 10  # more"))
    for name in ("steps", "helper_of_steps"):
        del sys.modules[name]
    new = OwnCode.of(importlib.import_module("steps").clean)
    assert new.load()(TABLE)["b"].to_list() == [11, 21]
    assert old.load()(TABLE)["b"].to_list() == [3, 5]


def test_comments_and_other_functions_of_the_file_do_not_count(steps, tmp_path):
    clean, folder = steps()
    reference = OwnCode.of(clean)
    text = (folder / "steps.py").read_text()
    within = text.replace("def clean(table):\n", "def clean(table):\n    # another comment\n")
    (folder / "steps.py").write_text("# a comment\n" + within + "\ndef another():\n    return 5\n")
    assert in_a_service(reference, tmp_path, folder) == "[3, 5]"


def test_of_several_copies_the_one_that_is_the_same_is_taken(steps, tmp_path):
    clean, folder = steps()
    reference = OwnCode.of(clean)
    (tmp_path / "steps.py").write_text((folder / "steps.py").read_text().replace("plus: int = 1", "plus: int = 5"))
    (tmp_path / "helper_of_steps.py").write_text(HELPER)
    assert in_a_service(reference, tmp_path, folder) == in_a_service(reference, folder, tmp_path) == "[3, 5]"
    assert "something that it uses in modules of your own, has changed" in in_a_service(reference, tmp_path)


def test_a_model_made_before_what_it_uses_was_kept_is_still_answered(steps, tmp_path):
    clean, folder = steps()
    digest = hashlib.sha256(inspect.getsource(clean).encode()).hexdigest()
    older = OwnCode("clean", file=str(folder / "steps.py"), digest=digest)
    assert in_a_service(older, tmp_path) == "[3, 5]"
    other = OwnCode("clean", file=str(folder / "steps.py"), digest=digest[::-1])
    assert "has changed since the model was trained" in in_a_service(other, tmp_path)


def test_whoever_imports_a_class_finds_the_one_of_training(steps):
    clean, folder = steps()
    kind = sys.modules["steps"].Settings
    old = OwnCode.of(kind)
    (folder / "steps.py").write_text((folder / "steps.py").read_text().replace("plus: int = 1", "plus: int = 100"))
    for name in ("steps", "helper_of_steps"):
        del sys.modules[name]
    with pytest.raises(InputError, match=r"Settings of steps\.py: it, or something that it uses"), at_hand([old]):
        pass
    new = OwnCode.of(importlib.import_module("steps").Settings)
    older = sys.modules["steps"] = type(sys)("steps")
    with at_hand([new]):
        assert importlib.import_module("steps").Settings().plus == 100
    assert sys.modules["steps"] is older
