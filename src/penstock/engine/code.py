"""What a function's code is, as parsed: its digest, and the names outside itself that it reaches.

The digest is of the syntax tree without comments, docstrings, positions, decorators and defaults; the tree
is believed only when compiling it gives the very code object that is in memory. Where no source can be had,
or the file has changed since it was imported, the bytecode itself is hashed: then formatting may count,
but a change is never missed.
"""

from __future__ import annotations

import ast
import dis
import hashlib
import linecache
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from penstock.engine.outside import may_read, reads_in

DYNAMIC_NAMES = frozenset({"eval", "exec", "globals", "__import__", "compile"})
"""Builtins that reach code which cannot be seen beforehand."""

_UNSEEN = {"ctx", "type_comment", "kind", "type_ignores"}


@dataclass(frozen=True)
class Import:
    """An import statement inside a function's body."""

    module: str
    names: tuple[str, ...]
    level: int


@dataclass(frozen=True)
class CodeFacts:
    """What is known of a code object without running it.

    Attributes
    ----------
    digest : str
        Of the code as parsed (or of the bytecode, see the module's notes).
    text : str
        The source as written, to show later what changed; empty when there is none.
    first_line : int
        Where `text` begins in its file, counted from 1.
    reached : tuple of tuple of str
        Global names with the attributes taken from them, such as ``("pl", "col")``.
    imports : tuple of Import
        Imports inside the body.
    writes : tuple of str
        Globals that the body assigns or deletes.
    reads : tuple of str
        Calls that read files or the environment, as written; unknown without the source.
    names : frozenset of str
        Globals and attributes of whatever that the body names.
    """

    digest: str
    text: str
    first_line: int
    reached: tuple[tuple[str, ...], ...]
    imports: tuple[Import, ...]
    writes: tuple[str, ...]
    reads: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()


def canonical(node: Any, *, root: bool = False) -> str:
    """Write a syntax tree as text in which comments, docstrings, layout and positions do not appear.

    Parameters
    ----------
    node : ast.AST, list or constant
        What to write.
    root : bool
        Whether `node` is the function being hashed: its decorators and default values are left out, for
        the objects that they made are hashed themselves.

    Examples
    --------
    >>> one = ast.parse("def f(x):\\n    'doc'\\n    return (x + 1)  # more").body[0]
    >>> two = ast.parse("def f(x): return x+1").body[0]
    >>> canonical(one) == canonical(two)
    True
    """
    if isinstance(node, ast.AST):
        skip = _UNSEEN | {"decorator_list"} if root else _UNSEEN
        written = []
        for name, value in ast.iter_fields(node):
            if name in skip:
                continue
            if root and name == "args" and isinstance(value, ast.arguments):
                written.append("args=" + _arguments_without_defaults(value))
                continue
            if name == "body" and isinstance(value, list) and _has_docstring(node, value):
                value = value[1:]
            written.append(f"{name}={canonical(value)}")
        return f"{type(node).__name__}({','.join(written)})"
    if isinstance(node, list):
        return "[" + ",".join(canonical(item) for item in node) + "]"
    return f"{type(node).__name__}:{node!r}"


def _arguments_without_defaults(arguments: ast.arguments) -> str:
    return ";".join(
        f"{name}={canonical(value)}"
        for name, value in ast.iter_fields(arguments)
        if name not in {"defaults", "kw_defaults"}
    )


def _has_docstring(node: ast.AST, body: list[Any]) -> bool:
    return (
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module)
        and bool(body)
        and isinstance(body[0], ast.Expr)
        and isinstance(body[0].value, ast.Constant)
        and isinstance(body[0].value.value, str)
    )


@dataclass(frozen=True)
class _File:
    lines: list[str]
    nodes: dict[tuple[str, int], list[ast.AST]]
    codes: dict[tuple[str, int], list[CodeType]]


@lru_cache(maxsize=256)
def _parsed(filename: str, text: str) -> _File | None:
    try:
        tree = ast.parse(text)
        module = compile(text, filename, "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return None
    nodes: dict[tuple[str, int], list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            line = min([node.lineno, *(item.lineno for item in node.decorator_list)])
            nodes.setdefault((node.name, line), []).append(node)
        elif isinstance(node, ast.Lambda):
            nodes.setdefault(("<lambda>", node.lineno), []).append(node)
    codes: dict[tuple[str, int], list[CodeType]] = {}
    pending = [module]
    while pending:
        for constant in pending.pop().co_consts:
            if isinstance(constant, CodeType):
                codes.setdefault((constant.co_name, constant.co_firstlineno), []).append(constant)
                pending.append(constant)
    return _File(text.splitlines(), nodes, codes)


def _node_of(code: CodeType) -> tuple[ast.AST, _File] | None:
    """Find the one syntax node that compiles to `code`, or None when that is not certain."""
    linecache.checkcache(code.co_filename)
    lines = linecache.getlines(code.co_filename)
    file = _parsed(code.co_filename, "".join(lines)) if lines else None
    if file is None:
        return None
    place = (code.co_name, code.co_firstlineno)
    nodes, codes = file.nodes.get(place, []), file.codes.get(place, [])
    if len(nodes) != 1 or len(codes) != 1 or codes[0] != code:
        return None
    return nodes[0], file


def _bytecode(code: CodeType, *, root: bool = True) -> str:
    constants = [
        _bytecode(item, root=False) if isinstance(item, CodeType) else f"{type(item).__name__}:{item!r}"
        for item in code.co_consts
    ]
    if root and code.co_consts and isinstance(code.co_consts[0], str) and code.co_flags & 0x4000000:
        constants = constants[1:]  # pragma: no cover - CO_HAS_DOCSTRING, Python 3.14 and later
    return repr(
        (
            code.co_code,
            constants,
            code.co_names,
            code.co_varnames,
            code.co_freevars,
            code.co_argcount,
            code.co_flags,
        )
    )


_facts: dict[CodeType, tuple[CodeType, CodeFacts]] = {}


def facts_of(code: CodeType) -> CodeFacts:
    """Return the facts of a code object; each is worked out once in a process."""
    known = _facts.get(code)
    if known is not None and known[0].co_filename == code.co_filename:
        return known[1]
    found = _node_of(code)
    names = frozenset(_names(code))
    reads: tuple[str, ...] = ()
    if found is None:
        written, text = "bytecode " + _bytecode(code), ""
    else:
        node, file = found
        written = canonical(node, root=True)
        reads = reads_in(node) if may_read(names) else ()
        end = getattr(node, "end_lineno", code.co_firstlineno)
        text = "\n".join(file.lines[code.co_firstlineno - 1 : end])
    reached: dict[tuple[str, ...], None] = {}
    imports: list[Import] = []
    writes: list[str] = []
    _read_instructions(code, reached, imports, writes)
    facts = CodeFacts(
        digest=hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()[:32],
        text=text,
        first_line=code.co_firstlineno,
        reached=tuple(reached),
        imports=tuple(imports),
        writes=tuple(writes),
        reads=reads,
        names=names,
    )
    _facts[code] = (code, facts)
    return facts


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _read_instructions(
    code: CodeType, reached: dict[tuple[str, ...], None], imports: list[Import], writes: list[str]
) -> None:
    chain: tuple[str, ...] = ()
    previous: list[Any] = [None, None]
    for instruction in dis.get_instructions(code):
        name = instruction.opname
        if chain and name in {"LOAD_ATTR", "LOAD_METHOD"}:
            chain = (*chain, instruction.argval)
            continue
        if chain:
            reached[chain] = None
            chain = ()
        if name in {"LOAD_GLOBAL", "LOAD_NAME"}:
            chain = (instruction.argval,)
        elif name in {"STORE_GLOBAL", "DELETE_GLOBAL"}:
            writes.append(instruction.argval)
        elif name == "IMPORT_NAME":
            level, names = previous
            imports.append(Import(instruction.argval, tuple(names or ()), int(level or 0)))
        previous = [previous[1], instruction.argval]
    if chain:
        reached[chain] = None
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            _read_instructions(constant, reached, imports, writes)


def first_change(old: str, new: str) -> int | None:
    """Return the line of `new`, counted from 0, where it first differs from `old` in meaning.

    Examples
    --------
    >>> first_change("def f(x):\\n    y = x\\n    return y", "def f(x):\\n    y = x\\n    return y + 1")
    2
    """
    import textwrap

    try:
        before, after = (ast.parse(textwrap.dedent(text)).body[0] for text in (old, new))
    except (SyntaxError, IndexError):
        return None
    line = _first_difference(before, after)
    return None if line is None else line - 1


def _first_difference(before: ast.AST, after: ast.AST) -> int | None:
    if canonical(before) == canonical(after):
        return None
    old, new = _statements(before), _statements(after)
    for one, two in zip(old, new, strict=False):
        if canonical(one) != canonical(two):
            return _first_difference(one, two) or _line(two)
    if len(new) > len(old) and old and all(canonical(a) == canonical(b) for a, b in zip(old, new, strict=False)):
        return _line(new[len(old)])
    if new and len(new) < len(old):
        return getattr(new[-1], "end_lineno", None)
    return _line(after)


def _statements(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    for _name, value in ast.iter_fields(node):
        if isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.stmt | ast.ExceptHandler)]
    if _has_docstring(node, found):
        found = found[1:]
    return found


def _line(node: ast.AST) -> int | None:
    return getattr(node, "lineno", None)
