"""Files from outside as refs: found by path or pattern, known by the digest of their bytes."""

from __future__ import annotations

import glob
import hashlib
import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from penstock.engine.step import Ref
from penstock.errors import DataError
from penstock.store.catalog import hostname
from penstock.store.schema import file_digests

_CHUNK = 1 << 20
_SETTLED_NS = 2_000_000_000
"""A file changed more recently than this may change again within one tick of its clock: not remembered."""


def find_files(patterns: list[str], folder: Path) -> list[Path]:
    """Return the files that the patterns name, sorted, each once.

    Raises
    ------
    DataError
        When a pattern names no file.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        full = str(folder / Path(pattern).expanduser())
        matches = [full] if Path(full).is_file() else sorted(glob.glob(full, recursive=True))  # noqa: PTH207
        paths = [Path(item) for item in matches if Path(item).is_file()]
        if not paths:
            if Path(full).is_dir():
                raise DataError(f"{pattern}: is a folder; name the files in it, such as {_inside(pattern, Path(full))}")
            raise DataError(f"{pattern}: was not found, looked for as {full}")
        found.update(dict.fromkeys(paths))
    return list(found)


def _inside(pattern: str, folder: Path) -> str:
    """Return a pattern that names the files of a folder, as the first that is there is named."""
    first = next((item for item in folder.rglob("*") if item.is_file()), folder / "first.csv")
    deep = "" if first.parent == folder else "**/"
    return f"{pattern.rstrip('/')}/{deep}*{''.join(first.suffixes[-2:])}"


def file_refs(store: Any, patterns: list[str], folder: Path, *, always_partitions: bool = False) -> Ref:
    """Return a ref to one file, or to several as partitions.

    The digest of a file that has kept its size and time of change is taken from the catalog.
    """
    found: list[Ref] = []
    for pattern in patterns:
        if "://" in pattern:
            found += _remote_refs(pattern)
        else:
            found += [_file_ref(store, path) for path in find_files([pattern], folder)]
    refs = list({str(ref.path): ref for ref in found}.values())
    if len(refs) == 1 and not always_partitions:
        return refs[0]
    names = [str(ref.path).rpartition("/")[2] for ref in refs]
    if len(set(names)) != len(names):
        names = [str(ref.path) for ref in refs]
    return partitions_ref(list(zip(names, refs, strict=True)))


def _remote_refs(pattern: str) -> list[Ref]:
    """Return refs to objects behind a URL that fsspec understands, known by what their store tells of their content."""
    import fsspec

    try:
        system, place = fsspec.core.url_to_fs(pattern)
        paths = sorted(system.glob(place)) if any(sign in place for sign in "*?[") else [place]
        infos = [system.info(path) for path in paths]
    except ImportError as error:
        hint = " (pip install 'penstock[s3]')" if pattern.startswith("s3://") else ""
        raise DataError(f"{pattern}: needs a package that is not installed: {error}{hint}") from None
    except FileNotFoundError:
        raise DataError(f"{pattern}: was not found") from None
    except Exception as error:  # each file system has errors of its own
        raise DataError(f"{pattern}: cannot be reached: {type(error).__name__}: {str(error)[:300]}") from None
    files = [info for info in infos if info["type"] == "file"]
    if not files:
        raise DataError(f"{pattern}: was not found")
    refs = []
    for info in files:
        url = system.unstrip_protocol(info["name"])
        told = (
            info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("mtime") or info.get("LastModified")
        )
        # Nothing told means that a change would not be noticed: it is read in each run.
        mark = f"{told} {info.get('size')}" if told else f"{url} {time.time_ns()}"
        refs.append(Ref(hashlib.sha256(mark.encode()).hexdigest(), "path", int(info.get("size") or 0), path=url))
    return refs


def partitions_ref(refs: list[tuple[str, Ref]]) -> Ref:
    """Join refs to one, whose digest is that of their names and digests."""
    written = "\n".join(f"{name}\t{ref.digest}" for name, ref in refs)
    digest = hashlib.sha256(written.encode("utf-8", "surrogatepass")).hexdigest()
    return Ref(digest, "partitions", sum(ref.size for _, ref in refs), partitions=tuple(refs))


def flattened(refs: list[tuple[str, Ref]]) -> list[tuple[str, Ref]]:
    """Name the parts of parts: ``a/1``, ``a/2``, ``b``."""
    return [
        (f"{name}/{inner}", part) if inner else (name, part)
        for name, ref in refs
        for inner, part in (ref.partitions if ref.format == "partitions" else (("", ref),))
    ]


def _file_ref(store: Any, path: Path) -> Ref:
    try:
        stat = path.stat()
        # A store that machines share knows one path of each.
        place = f"{hostname()}:{path}" if store.shared else str(path)
        with store.catalog.read() as connection:
            known = connection.execute(
                sa.select(file_digests.c.digest).where(
                    file_digests.c.path == place,
                    file_digests.c.size == stat.st_size,
                    file_digests.c.modified_ns == stat.st_mtime_ns,
                )
            ).scalar()
        if known is not None:
            return Ref(str(known), "path", stat.st_size, path=str(path))
        digest = _digest_of_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    if time.time_ns() - stat.st_mtime_ns < _SETTLED_NS:
        return Ref(digest, "path", stat.st_size, path=str(path))
    row = {"path": place, "size": stat.st_size, "modified_ns": stat.st_mtime_ns, "digest": digest}
    with store.catalog.begin() as connection:
        store.catalog.put(connection, file_digests, row)
    return Ref(digest, "path", stat.st_size, path=str(path))


def _digest_of_file(path: Path) -> str:
    hasher = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
