"""What counts as a change of a step, and what does not: one table, one row a kind of change."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.conftest import make_pipeline

from penstock.engine.fingerprint import fingerprint
from penstock.engine.graph import Graph
from penstock.engine.run import run_graph
from penstock.errors import FingerprintError

STEP = """
import penstock as ps
{above}
@ps.step
def target({arguments}) -> object:
{body}
"""


def written(above: str = "", arguments: str = "", body: str = "    return 1") -> str:
    return STEP.format(above=above, arguments=arguments, body=body)


def calls(above: str, call: str = "helper(1)") -> str:
    return written(above=above, body=f"    return {call}")


HELPER = "def helper(x):\n    return x + 1"
DISPATCHED = "import functools\n@functools.singledispatch\ndef helper(x):\n    return 0\n@helper.register\ndef _(x: int):\n    return 1"

CHANGES = {
    "the body": (written(body="    return 1"), written(body="    return 2")),
    "an operator": (written(body="    return 1 + 1"), written(body="    return 1 - 1")),
    "a string that is not a docstring": (written(body="    return 'a'"), written(body="    return 'b'")),
    "a type of constant": (written(body="    return 1"), written(body="    return 1.0")),
    "true for one": (written(body="    return 1"), written(body="    return True")),
    "a statement added": (
        written(body="    x = 1\n    return x"),
        written(body="    x = 1\n    x += 1\n    return x"),
    ),
    "order of statements": (
        written(body="    x = [1]\n    x.append(2)\n    x.reverse()\n    return x"),
        written(body="    x = [1]\n    x.reverse()\n    x.append(2)\n    return x"),
    ),
    "a parameter's default": (written(arguments="size: int = 1"), written(arguments="size: int = 2")),
    "a default made from a constant": (
        written("N = 1", arguments="size: int = N"),
        written("N = 2", arguments="size: int = N"),
    ),
    "a helper's body": (calls(HELPER), calls(HELPER.replace("1", "2"))),
    "a helper's default": (
        calls("def helper(x, y=1):\n    return x + y"),
        calls("def helper(x, y=2):\n    return x + y"),
    ),
    "a helper's keyword default": (
        calls("def helper(x, *, y=1):\n    return x + y"),
        calls("def helper(x, *, y=2):\n    return x + y"),
    ),
    "a helper of a helper": (
        calls("def deep(x):\n    return x\ndef helper(x):\n    return deep(x)"),
        calls("def deep(x):\n    return -x\ndef helper(x):\n    return deep(x)"),
    ),
    "a function for one type of a dispatching helper": (
        calls(DISPATCHED),
        calls(DISPATCHED.replace("return 1", "return 2")),
    ),
    "a helper inside a comprehension": (
        calls(HELPER, "[helper(i) for i in range(3)]"),
        calls(HELPER.replace("1", "2"), "[helper(i) for i in range(3)]"),
    ),
    "a helper inside a lambda": (
        calls(HELPER, "list(map(lambda i: helper(i), [1]))"),
        calls(HELPER.replace("1", "2"), "list(map(lambda i: helper(i), [1]))"),
    ),
    "a helper of a recursive pair": (
        calls("def even(n):\n    return n == 0 or helper(n - 1)\ndef helper(n):\n    return n != 0 and even(n - 1)"),
        calls("def even(n):\n    return n == 0 or helper(n - 1)\ndef helper(n):\n    return n > 0 and even(n - 1)"),
    ),
    "a global constant": (calls("LIMIT = 3", "LIMIT"), calls("LIMIT = 4", "LIMIT")),
    "a constant in a list": (calls("LIMITS = [1, 2]", "LIMITS"), calls("LIMITS = [1, 3]", "LIMITS")),
    "a constant in a nested dict": (
        calls("C = {'a': {'b': 1}}", "C"),
        calls("C = {'a': {'b': 2}}", "C"),
    ),
    "order of a dict": (calls("C = {'a': 1, 'b': 2}", "C"), calls("C = {'b': 2, 'a': 1}", "C")),
    "a constant in a set": (calls("C = {1, 2}", "C"), calls("C = {1, 3}", "C")),
    "a function in a dict": (
        calls(HELPER + "\nTABLE = {'h': helper}", "TABLE['h'](1)"),
        calls(HELPER.replace("1", "2") + "\nTABLE = {'h': helper}", "TABLE['h'](1)"),
    ),
    "a compiled pattern": (
        calls("import re\nP = re.compile('a')", "P.sub('', 'abc')"),
        calls("import re\nP = re.compile('b')", "P.sub('', 'abc')"),
    ),
    "a pattern's flags": (
        calls("import re\nP = re.compile('a')", "P.sub('', 'abc')"),
        calls("import re\nP = re.compile('a', re.I)", "P.sub('', 'abc')"),
    ),
    "a date": (
        calls("import datetime\nD = datetime.date(2024, 1, 1)", "D"),
        calls("import datetime\nD = datetime.date(2024, 1, 2)", "D"),
    ),
    "an array": (
        calls("import numpy as np\nA = np.array([1, 2])", "A"),
        calls("import numpy as np\nA = np.array([1, 3])", "A"),
    ),
    "an array's type": (
        calls("import numpy as np\nA = np.array([1, 2], dtype='i4')", "A"),
        calls("import numpy as np\nA = np.array([1, 2], dtype='i8')", "A"),
    ),
    "a frame": (
        calls("import polars as pl\nF = pl.DataFrame({'a': [1]})", "F"),
        calls("import polars as pl\nF = pl.DataFrame({'a': [2]})", "F"),
    ),
    "an expression": (
        calls("import polars as pl\nE = pl.col('a') + 1", "E"),
        calls("import polars as pl\nE = pl.col('a') + 2", "E"),
    ),
    "a data type": (
        calls("import polars as pl\nT = pl.Int64", "T"),
        calls("import polars as pl\nT = pl.Int32", "T"),
    ),
    "a lambda": (calls("helper = lambda x: x + 1"), calls("helper = lambda x: x + 2")),
    "the second of two lambdas on a line": (
        calls("pair = (lambda x: x, lambda x: x + 1)", "pair[1](1)"),
        calls("pair = (lambda x: x, lambda x: x + 2)", "pair[1](1)"),
    ),
    "a partial's argument": (
        calls("import functools\ndef add(x, y):\n    return x + y\nhelper = functools.partial(add, y=1)"),
        calls("import functools\ndef add(x, y):\n    return x + y\nhelper = functools.partial(add, y=2)"),
    ),
    "a partial's function": (
        calls("import functools\ndef add(x, y):\n    return x + y\nhelper = functools.partial(add, y=1)"),
        calls("import functools\ndef add(x, y):\n    return x - y\nhelper = functools.partial(add, y=1)"),
    ),
    "a closure's value": (
        calls("def make(n):\n    def inner(x):\n        return x + n\n    return inner\nhelper = make(1)"),
        calls("def make(n):\n    def inner(x):\n        return x + n\n    return inner\nhelper = make(2)"),
    ),
    "a closure's function": (
        calls("def make(f):\n    def inner(x):\n        return f(x)\n    return inner\nhelper = make(lambda x: x)"),
        calls("def make(f):\n    def inner(x):\n        return f(x)\n    return inner\nhelper = make(lambda x: -x)"),
    ),
    "a decorator of one's own": (
        calls("def twice(f):\n    def inner(x):\n        return f(f(x))\n    return inner\n@twice\n" + HELPER),
        calls("def twice(f):\n    def inner(x):\n        return f(x)\n    return inner\n@twice\n" + HELPER),
    ),
    "a decorated helper": (
        calls("def twice(f):\n    def inner(x):\n        return f(f(x))\n    return inner\n@twice\n" + HELPER),
        calls(
            "def twice(f):\n    def inner(x):\n        return f(f(x))\n    return inner\n@twice\n"
            + HELPER.replace("1", "2")
        ),
    ),
    "a decorator's argument": (
        calls(
            "def times(n):\n    def wrap(f):\n        def inner(x):\n            return f(x) * n\n"
            "        return inner\n    return wrap\n@times(2)\n" + HELPER
        ),
        calls(
            "def times(n):\n    def wrap(f):\n        def inner(x):\n            return f(x) * n\n"
            "        return inner\n    return wrap\n@times(3)\n" + HELPER
        ),
    ),
    "a helper under functools.wraps": (
        calls(
            "import functools\ndef same(f):\n    @functools.wraps(f)\n    def inner(x):\n        return f(x)\n"
            "    return inner\n@same\n" + HELPER
        ),
        calls(
            "import functools\ndef same(f):\n    @functools.wraps(f)\n    def inner(x):\n        return f(x)\n"
            "    return inner\n@same\n" + HELPER.replace("1", "2")
        ),
    ),
    "a helper under lru_cache": (
        calls("import functools\n@functools.lru_cache\n" + HELPER),
        calls("import functools\n@functools.lru_cache\n" + HELPER.replace("1", "2")),
    ),
    "a helper under contextmanager": (
        calls("import contextlib\n@contextlib.contextmanager\ndef helper(x):\n    yield x"),
        calls("import contextlib\n@contextlib.contextmanager\ndef helper(x):\n    yield -x"),
    ),
    "a method of a class": (
        calls("class Box:\n    def get(self):\n        return 1", "Box().get()"),
        calls("class Box:\n    def get(self):\n        return 2", "Box().get()"),
    ),
    "a method of a base class": (
        calls("class Base:\n    def get(self):\n        return 1\nclass Box(Base):\n    pass", "Box().get()"),
        calls("class Base:\n    def get(self):\n        return 2\nclass Box(Base):\n    pass", "Box().get()"),
    ),
    "a class attribute": (calls("class Box:\n    n = 1", "Box.n"), calls("class Box:\n    n = 2", "Box.n")),
    "a property": (
        calls("class Box:\n    @property\n    def n(self):\n        return 1", "Box().n"),
        calls("class Box:\n    @property\n    def n(self):\n        return 2", "Box().n"),
    ),
    "a static method": (
        calls("class Box:\n    @staticmethod\n    def n():\n        return 1", "Box.n()"),
        calls("class Box:\n    @staticmethod\n    def n():\n        return 2", "Box.n()"),
    ),
    "a bound method's object": (
        calls(
            "class Box:\n    def __init__(self, n):\n        self.n = n\n    def get(self):\n        return self.n\nget = Box(1).get",
            "get()",
        ),
        calls(
            "class Box:\n    def __init__(self, n):\n        self.n = n\n    def get(self):\n        return self.n\nget = Box(2).get",
            "get()",
        ),
    ),
    "an instance's state": (
        calls("class Box:\n    def __init__(self, n):\n        self.n = n\nBOX = Box(1)", "BOX.n"),
        calls("class Box:\n    def __init__(self, n):\n        self.n = n\nBOX = Box(2)", "BOX.n"),
    ),
    "a dataclass's default": (
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 1", "Box()"),
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 2", "Box()"),
    ),
    "a dataclass's field": (
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 1", "Box()"),
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 1\n    m: int = 1", "Box()"),
    ),
    "a dataclass's value": (
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 1\nBOX = Box(3)", "BOX.n"),
        calls("import dataclasses\n@dataclasses.dataclass\nclass Box:\n    n: int = 1\nBOX = Box(4)", "BOX.n"),
    ),
    "an enumeration's value": (
        calls("import enum\nclass Colour(enum.Enum):\n    RED = 1", "Colour.RED.value"),
        calls("import enum\nclass Colour(enum.Enum):\n    RED = 2", "Colour.RED.value"),
    ),
    "a name that is defined later": (calls("", "later"), calls("later = 1", "later")),
    "the type of an input that a class gives methods": (
        written(
            "class Box:\n    def get(self):\n        return 1",
            arguments="box: 'Box' = None",
            body="    return box",
        ),
        written(
            "class Box:\n    def get(self):\n        return 1",
            arguments="box: 'Box | None' = None",
            body="    return box",
        ),
    ),
    "the stated version": (
        written().replace("@ps.step", "@ps.step(version='1')"),
        written().replace("@ps.step", "@ps.step(version='2')"),
    ),
    "an estimator's setting": (
        calls("from sklearn.linear_model import Ridge\nM = Ridge(alpha=1.0)", "M"),
        calls("from sklearn.linear_model import Ridge\nM = Ridge(alpha=2.0)", "M"),
    ),
}

NO_CHANGES = {
    "a comment": (written(body="    return 1"), written(body="    # why\n    return 1  # because")),
    "a docstring": (written(body="    return 1"), written(body="    '''Doc.'''\n    return 1")),
    "blank lines and brackets": (
        written(body="    return 1 + 2"),
        written(body="\n\n    return (1 +\n        2)"),
    ),
    "quotes": (written(body="    return 'a'"), written(body='    return "a"')),
    "a line moved down": (written(), written("\n\n\n# more\n")),
    "a helper's comment and docstring": (
        calls(HELPER),
        calls("def helper(x):\n    '''Add one.'''\n    # so\n    return (x\n        + 1)"),
    ),
    "a helper that is not reached": (calls(HELPER), calls(HELPER + "\ndef other(x):\n    return 2")),
    "a body that is not reached": (
        calls(HELPER + "\ndef other(x):\n    return 1"),
        calls(HELPER + "\ndef other(x):\n    return 2"),
    ),
    "a constant that is not reached": (calls("N = 1\nM = 1", "N"), calls("N = 1\nM = 2", "N")),
    "a local of the name of a global": (
        written("x = 1", body="    x = 5\n    return x"),
        written("x = 2", body="    x = 5\n    return x"),
    ),
    "order of a set": (calls("C = {'a', 'b', 'c'}", "C"), calls("C = {'c', 'b', 'a'}", "C")),
    "how a constant is written": (calls("N = 1000", "N"), calls("N = 10 ** 3", "N")),
    "retries": (written(), written().replace("@ps.step", "@ps.step(retries=3, backoff=2)")),
    "time limit and cores": (written(), written().replace("@ps.step", "@ps.step(timeout='5m', cpus=2)")),
    "a method's comment": (
        calls("class Box:\n    def get(self):\n        return 1", "Box().get()"),
        calls("class Box:\n    '''Box.'''\n    def get(self):\n        # one\n        return 1", "Box().get()"),
    ),
    "the code under a stated version": (
        written(body="    return 1").replace("@ps.step", "@ps.step(version='1')"),
        written(body="    return 2").replace("@ps.step", "@ps.step(version='1')"),
    ),
    "how a module is imported": (
        written("import math", body="    return math.sqrt(4)"),
        written("import math  # roots", body="    return math.sqrt(4)"),
    ),
}

REFUSED = {
    "eval": calls("", "eval('1')"),
    "exec": written(body="    exec('x = 1')\n    return 1"),
    "importing by name": written("import importlib", body="    return importlib.import_module('json')"),
    "an open file": calls("F = open(__file__)", "F.read()"),
    "a generator": calls("G = (i for i in range(3))", "list(G)"),
    "a lock": calls("import threading\nL = threading.Lock()", "L"),
    "a global that is assigned": written("N = 1", body="    global N\n    N = 2\n    return N"),
    "an expression with a Python function": calls(
        "import polars as pl\nE = pl.col('a').map_elements(lambda x: x, return_dtype=pl.Int64)", "E"
    ),
    "a lazy frame": calls("import polars as pl\nL = pl.LazyFrame({'a': [1]})", "L"),
}


def key_of(module, text: str) -> str:
    return fingerprint(Graph.of(module(text)).steps["target"]).key({})


@pytest.mark.parametrize("kind", CHANGES)
def test_a_change_is_noticed(module, kind):
    before, after = CHANGES[kind]
    assert key_of(module, before) != key_of(module, after)


@pytest.mark.parametrize("kind", NO_CHANGES)
def test_what_is_no_change_keeps_the_key(module, kind):
    before, after = NO_CHANGES[kind]
    assert key_of(module, before) == key_of(module, after)


@pytest.mark.parametrize("kind", CHANGES)
def test_the_same_text_gives_the_same_key(module, kind):
    before, _ = CHANGES[kind]
    assert key_of(module, before) == key_of(module, before)


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_hashed_soundly_is_refused(module, kind):
    with pytest.raises(FingerprintError, match=r"steps\.py:\d+.*version="):
        key_of(module, REFUSED[kind])


@pytest.mark.parametrize("kind", ["eval", "a lock", "an open file"])
def test_a_stated_version_admits_what_was_refused(module, kind):
    text = REFUSED[kind].replace("@ps.step", "@ps.step(version='1')")
    assert key_of(module, text) == key_of(module, text)


@pytest.mark.parametrize(
    ("use", "call"),
    [
        ("from helpers import tidy", "tidy(1)"),
        ("import helpers", "helpers.tidy(1)"),
        ("import helpers as h", "h.tidy(1)"),
        ("import helpers", "getattr(helpers, 'ti' + 'dy')(1)"),
    ],
)
def test_a_helper_in_another_module_is_followed(module, use, call):
    keys = []
    for number in (1, 2, 1):
        module(f"def tidy(x):\n    return x + {number}\n", "helpers")
        keys.append(key_of(module, calls(use, call)))
    assert keys[0] == keys[2] != keys[1]


@pytest.mark.parametrize("use", ["from helpers import tidy", "import helpers\n    tidy = helpers.tidy"])
def test_an_import_inside_the_body_is_followed(module, use):
    keys = []
    for number in (1, 2, 1):
        module(f"def tidy(x):\n    return x + {number}\n", "helpers")
        keys.append(key_of(module, written(body=f"    {use}\n    return tidy(1)")))
    assert keys[0] == keys[2] != keys[1]


def test_the_versions_of_used_packages_are_part(module):
    step = Graph.of(module(written("import polars as pl", body="    return pl.col('a').name"))).steps["target"]
    import polars

    assert fingerprint(step).parts["package:polars"] == polars.__version__


def test_a_package_imported_inside_the_body_is_part(module):
    step = Graph.of(module(written(body="    import click\n    return click.style('a')"))).steps["target"]
    assert "package:click" in fingerprint(step).parts


def test_modules_that_a_package_makes_without_a_file_are_the_packages(module, monkeypatch, tmp_path):
    home = tmp_path / "site-packages" / "compiled"
    home.mkdir(parents=True)
    (home / "__init__.py").write_text(
        "import sys, types\n__version__ = '1.2'\n"
        "inner = sys.modules['compiled.inner'] = types.ModuleType('compiled.inner')\n"
        "ops = sys.modules['compiled.ops'] = types.ModuleType('compiled.ops')\nops.__file__ = '_ops.py'\n"
    )
    monkeypatch.syspath_prepend(home.parent)
    text = written(body="    import compiled.inner, compiled.ops\n    return 1")
    assert fingerprint(Graph.of(module(text)).steps["target"]).parts["package:compiled"] == "1.2"


def test_a_package_imported_inside_the_body_is_not_loaded_for_the_plan(module):
    text = written(body="    import lightgbm\n    return lightgbm.__version__")
    code = (
        f"import sys, types; m = types.ModuleType('steps'); exec({text!r}, m.__dict__)\n"
        "from penstock.engine.graph import Graph; from penstock.engine.fingerprint import fingerprint\n"
        "print('package:lightgbm' in fingerprint(Graph.of(m).steps['target']).parts, 'lightgbm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]


def test_code_without_source_is_known_by_its_bytecode():
    import types

    made = []
    for number in (1, 2, 1):
        scope = types.ModuleType("typed")
        exec(f"import penstock as ps\n@ps.step\ndef target() -> int:\n    return {number}", scope.__dict__)
        made.append(fingerprint(Graph.of(scope).steps["target"]).key({}))
    assert made[0] == made[2] != made[1]


def test_a_file_edited_after_its_import_does_not_pass_for_what_is_in_memory(module):
    made = module(written(body="    return 1"))
    before = fingerprint(Graph.of(made).steps["target"]).key({})
    path = Path(made.__file__)
    path.write_text(path.read_text().replace("return 1", "return 2"))
    import penstock.engine.code as code

    code._facts.clear()
    stale_memory = fingerprint(Graph.of(made).steps["target"]).key({})
    fresh = key_of(module, written(body="    return 2"))
    assert stale_memory != fresh
    assert before != fresh


def test_parameters_and_inputs_are_part_of_the_key():
    from penstock.engine.fingerprint import Fingerprint

    mark = Fingerprint({"parameter:size": "1"})
    assert mark.key({"a": "1"}) != mark.key({"a": "2"})
    assert mark.key({"a": "1"}) != mark.key({"b": "1"})
    assert mark.key({}) != Fingerprint({"parameter:size": "2"}).key({})


def test_two_functions_of_one_version_and_the_same_inputs_are_two_steps(module, store):
    made = module(
        """
        import penstock as ps

        @ps.step(version="1")
        def one() -> int:
            return 1

        @ps.step(version="1")
        def two() -> int:
            return 2
        """
    )
    for _ in range(2):
        done = run_graph(Graph.of(made, "g"), store)
        assert (done["one"], done["two"]) == (1, 2)


def test_a_report_and_a_card_are_two_things_though_they_are_made_of_the_same(tmp_path):
    steps = make_pipeline(tmp_path).graph().steps
    assert fingerprint(steps["report"]).parts != fingerprint(steps["card"]).parts
