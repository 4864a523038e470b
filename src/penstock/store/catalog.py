"""Opening the catalog: SQLite in WAL mode by default, the same tables on PostgreSQL, and its migrations.

Knows how to connect and what version the tables have; the questions asked of them lie with who asks.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError

from penstock.errors import StoreError
from penstock.store import schema
from penstock.store.roles import role_for

BUSY_SECONDS = 30.0
"""How long a writer waits for another one before it gives up."""


class Catalog:
    """The database that remembers runs, artifacts, lineage, models, deployments and alerts.

    Parameters
    ----------
    url : str
        A SQLAlchemy URL, such as ``sqlite:////home/me/churn/.penstock/catalog.db``.

    Raises
    ------
    StoreError
        When it cannot be opened, or was written by a newer Penstock.
    """

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.name = self.url.render_as_string(hide_password=True)
        options: dict[str, Any] = {}
        if self.url.get_backend_name() == "sqlite":
            options["connect_args"] = {"timeout": BUSY_SECONDS}
        else:
            # A connection that the server or the network has cut is noticed before it is used, and replaced.
            options |= {"pool_pre_ping": True, "connect_args": {"connect_timeout": int(BUSY_SECONDS)}}
        try:
            self.engine = sa.create_engine(self.url, **options)
        except ModuleNotFoundError as error:
            raise StoreError(
                f"catalog {self.name} needs the package {error.name}, which is not installed. "
                "Install it with: pip install 'penstock[postgres]'"
            ) from error
        if self.url.get_backend_name() == "sqlite":
            sa.event.listen(self.engine, "connect", _prepare_sqlite)
        with self.guarded():
            self._migrate()

    @property
    def is_sqlite(self) -> bool:
        """Whether the catalog is one local file."""
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """Yield a connection inside one transaction; its errors are told in words."""
        with self.guarded(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """Yield a connection for questions only."""
        with self.guarded(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Turn the driver's errors into a :class:`StoreError` that says what to do."""
        try:
            yield
        except DBAPIError as error:
            raise StoreError(f"catalog {self.name}: {_in_words(error)}") from error

    def insert_new(self, connection: sa.Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
        """Insert rows, leaving those whose primary key is there already."""
        if rows:
            connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def alone(self, connection: sa.Connection, what: str) -> None:
        """Until this transaction ends, let no other come to this point for the same thing: it asks before it writes."""
        if self.is_sqlite:
            connection.execute(schema.claims.delete().where(sa.false()))  # begins writing, which one does at a time
        else:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtext(what))))

    def may(self, connection: sa.Connection, right: str, table: sa.Table) -> bool:
        """Whether this user has the right to ``INSERT`` into a table, ``UPDATE`` or ``DELETE``; of a file, everyone has."""
        if self.is_sqlite:
            return True
        return bool(connection.execute(sa.select(sa.func.has_table_privilege(table.name, right))).scalar())

    def put(self, connection: sa.Connection, table: sa.Table, row: dict[str, Any]) -> None:
        """Insert a row, or put it in the place of the one with its primary key; also where two do so at once."""
        keys = [column.name for column in table.primary_key]
        question = self._insert(table)
        changed = {name: question.excluded[name] for name in row if name not in keys}
        connection.execute(question.on_conflict_do_update(index_elements=keys, set_=changed), row)

    def _insert(self, table: sa.Table) -> Any:
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
        return insert(table)

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()

    def _migrate(self) -> None:
        with self.engine.connect() as connection:
            tables = set(sa.inspect(connection).get_table_names())
            found = (
                connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
                if "alembic_version" in tables
                else None
            )
        if found == schema.REVISION:
            return
        if found is not None and found not in schema.KNOWN_REVISIONS:
            raise StoreError(
                f"catalog {self.name} has schema {found}, written by a newer Penstock; this one knows "
                f"{schema.REVISION}. Nothing was changed. Upgrade with: pip install --upgrade penstock"
            )
        if found is None and "runs" in tables:
            raise StoreError(
                f"catalog {self.name} holds tables that Penstock did not write. Give another place with --store."
            )
        try:
            upgrade(self.engine)
        except DBAPIError:
            # Another process makes the tables in this very moment: theirs are as good as ours, once they are there.
            deadline = time.monotonic() + BUSY_SECONDS
            while self._revision() != schema.REVISION:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)

    def _revision(self) -> str | None:
        try:
            with self.engine.connect() as connection:
                found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
                return found
        except DBAPIError:
            return None


def upgrade(engine: sa.Engine, revision: str = "head") -> None:
    """Bring the catalog's tables to `revision` with Alembic."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            # One process at a time, and all or nothing: who opens a new store beside us finds no half of it.
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    # WAL with NORMAL loses nothing when the process is killed; a power cut may undo the last commits, never half of one.
    # SQLite does not wait by itself where two processes turn to WAL at once, as they do that open a new store together.
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            cursor.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _in_words(error: DBAPIError) -> str:
    original = error.orig
    text = str(original).strip()
    if isinstance(original, sqlite3.Error):
        advice = {
            "unable to open database file": "it cannot be opened or made. Give a folder that can be written with --store.",
            "attempt to write a readonly database": "it is read-only. Give a folder that can be written with --store.",
            "database or disk is full": "the disk is full. Nothing was lost; free some space, then run again.",
            "file is not a database": "it is not a catalog, or is damaged. Move it away to start a new one.",
            "database is locked": f"another process has held it for {BUSY_SECONDS:.0f} s. Try again when that has ended.",
            "disk I/O error": f"the disk cannot be written (full, or failing: {original.sqlite_errorname}). Nothing was lost.",
        }
        for start, words in advice.items():
            if text.startswith(start):
                return words
    if getattr(original, "sqlstate", None) == "42501":
        table = text.splitlines()[0].rpartition(" ")[2]
        right = str(error.statement).split(maxsplit=1)[0]
        return f"its user may not {right} in {table}; that takes {role_for(right, table)}"
    if isinstance(error, OperationalError):
        return f"the database cannot be reached: {text}"
    return text


def whoami() -> str:
    """Return the user's name, from the environment or the system."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return str(os.getuid())


def hostname() -> str:
    """Return this machine's name."""
    return socket.gethostname()
