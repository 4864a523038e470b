"""What code reads from outside by itself: files, the environment, other processes and machines.

A result is known by its step's code and inputs. What the code reads by itself is neither, and a change of it
would be missed; so such a step is not taken from the cache (see :class:`~penstock.engine.fingerprint.Fingerprint`).
It is told by names, for where a path leads is known only when the code runs.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable

_READERS = re.compile(
    "ZipFile|ParquetFile|ExcelFile|imread|loadtxt|genfromtxt|open_dataset|(read|scan)_(avro|clipboard|csv|csv_batched|database|database_uri|delta|deltatable|excel|feather|file|fwf|gbq|gpickle"
    "|hdf|html|iceberg|ipc|ipc_stream|json|ndjson|ods|orc|parquet|pickle|sas|spss|sql|sql_query|sql_table|stata|table|xml)"
)
"""Calls that read a file, or what is in memory already."""
_FILES = re.compile(
    "read_text|read_bytes|listdir|scandir|iterdir|glob|rglob|fromfile|memmap|urlopen|urlretrieve|getenv|Popen|check_output"
)
_LOADS = re.compile(r"(np|numpy|joblib|torch)\.load")
_SPELLED = re.compile(r"os\.(walk|popen)|(os\.)?environ\.get|subprocess\.(run|call)|(ps|penstock)\.(load|artifact)")
"""Calls of which the last name alone would say too little."""

_LIKELY = re.compile(f"open|load|walk|popen|environ|subprocess|artifact|{_FILES.pattern}|{_READERS.pattern}")
"""A name without which no such call is made."""

_TALKERS = re.compile(
    r"(requests|httpx|aiohttp|urllib3|urllib\.request|http\.client|ftplib|socket|boto3|botocore|s3fs|gcsfs|adlfs|fsspec"
    "|sqlite3|duckdb|sqlalchemy|psycopg|psycopg2|asyncpg|pymysql|mysql|MySQLdb|oracledb|pyodbc|connectorx|pymongo|redis"
    r"|kafka|snowflake|clickhouse_connect|elasticsearch|gspread|yfinance)(\..*)?"
)
"""Modules for talking to databases and other machines."""

_IN_MEMORY = frozenset({"BytesIO", "StringIO", "BufferReader"})
_MODES = frozenset("rwaxbtU+")


def reads_in(code: ast.AST) -> tuple[str, ...]:
    """Return the calls in `code` that read files or the environment, as written.

    Examples
    --------
    >>> reads_in(ast.parse("pl.read_csv('a.csv'); open('b.txt', 'w'); Path('c').read_text()"))
    ('pl.read_csv()', "Path('c').read_text()")
    """
    nodes = list(ast.walk(code))
    in_memory = any(_last_name(node) in _IN_MEMORY for node in nodes)
    found: dict[str, None] = {}
    for node in nodes:
        if isinstance(node, ast.Call):
            name = _last_name(node.func)
            written = ast.unparse(node.func)
            opens = name == "open" and not _writes(node)
            file = _FILES.fullmatch(name) or _SPELLED.fullmatch(written) or (opens and written == "open")
            either = _READERS.fullmatch(name) or _LOADS.fullmatch(written) or opens
            if file or (either and not in_memory):
                found[f"{written}()"] = None
        elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load) and _last_name(node.value) == "environ":
            found[ast.unparse(node.value)] = None
    return tuple(found)


def may_read(names: Iterable[str]) -> bool:
    """Whether code that names these may hold such a call: most holds none, and is not searched.

    Examples
    --------
    >>> may_read(["pl", "col", "sum"]), may_read(["pl", "read_csv"])
    (False, True)
    """
    return any(map(_LIKELY.fullmatch, names))


def talks(module: str) -> bool:
    """Whether a module is for talking to databases or other machines.

    Examples
    --------
    >>> talks("requests.api"), talks("urllib.parse"), talks("urllib.request")
    (True, False, True)
    """
    return _TALKERS.fullmatch(module) is not None


def _last_name(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _writes(call: ast.Call) -> bool:
    """Whether a call of ``open`` says a mode that only writes: the second argument, or of a path's method the first."""
    first = 1 if isinstance(call.func, ast.Name) else 0
    given = [*call.args[first:2], *(word.value for word in call.keywords if word.arg == "mode")]
    modes = [item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return any(set(mode) <= _MODES and set(mode) & set("wax") and "+" not in mode for mode in modes if mode)
