"""Versions of a pipeline's models, and which of them answers: every change kept with who and why."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from penstock.errors import InputError
from penstock.store.catalog import whoami
from penstock.store.schema import JUDGED, deployments, models
from penstock.store.store import Store

CHAMPION, CHALLENGER = "champion", "challenger"
_DEPLOYING = ("deploy", "rows", "code")
"""What a version keeps of how it is served, beside its metrics."""


@dataclass(frozen=True)
class ModelVersion:
    """One version of a pipeline's model.

    Attributes
    ----------
    name : str
        The pipeline.
    version : int
        From 1.
    digest : str
        Of its bundle.
    run : str
        The run that made it first.
    aliases : tuple of str
        ``champion``, ``challenger`` or none.
    evaluation : dict
        Metrics, baseline and gate, as the run printed them.
    """

    name: str
    version: int
    digest: str
    run: str
    created: float
    user: str
    aliases: tuple[str, ...]
    evaluation: dict[str, Any]
    judged_against: str | None = None

    @property
    def judged(self) -> str:
        """Digest of the model that the gate judged: another one where what answers was fitted again on all rows."""
        return str(self.evaluation.get(JUDGED, self.digest))


@dataclass(frozen=True)
class Deployment:
    """One change of an alias."""

    alias: str
    version: int | None
    at: float
    user: str
    why: str


class Registry:
    """The versions and aliases of one pipeline's models.

    Parameters
    ----------
    store : Store
        Where they are kept.
    name : str
        The pipeline.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store, self.name = store, name

    def versions(self) -> list[ModelVersion]:
        """Return every version, the latest first."""
        with self.store.catalog.read() as connection:
            held = self._aliases(connection)
            question = sa.select(models).where(models.c.pipeline == self.name).order_by(models.c.version.desc())
            return [self._version(row, held) for row in connection.execute(question)]

    def version(self, version: int | str) -> ModelVersion:
        """Return a version by number or alias.

        Raises
        ------
        InputError
            When there is none, with those that there are.
        """
        found = self.find(version)
        if found is None:
            known = self.versions()
            if not known:
                there = ", ".join(names(self.store)) or "none"
                raise InputError(
                    f"there is no model {self.name}; pipelines with models: {there}. Make one with: penstock run"
                )
            there = ", ".join(f"v{item.version}" for item in known)
            hint = ""
            if version == CHAMPION:
                latest = known[0].version
                hint = f" Make one the champion with: penstock promote {self.name} {latest}; or ask for a version by its number."
            raise InputError(
                f"model {self.name} has no {version if isinstance(version, str) else f'v{version}'}; versions: {there}.{hint}"
            )
        return found

    def find(self, version: int | str) -> ModelVersion | None:
        """Return a version by number or alias, or None."""
        with self.store.catalog.read() as connection:
            held = self._aliases(connection)
            number = held.get(version) if isinstance(version, str) else version
            if number is None:
                return None
            question = sa.select(models).where(models.c.pipeline == self.name, models.c.version == number)
            row = connection.execute(question).first()
            return None if row is None else self._version(row, held)

    def champion(self) -> ModelVersion | None:
        """Return the version that answers, or None."""
        return self.find(CHAMPION)

    def with_digest(self, digest: str) -> ModelVersion | None:
        """Return the version that has the bundle `digest`, or None."""
        with self.store.catalog.read() as connection:
            question = sa.select(models.c.version).where(models.c.pipeline == self.name, models.c.digest == digest)
            number = connection.execute(question).scalar()
        return None if number is None else self.find(int(number))

    def register(
        self,
        digest: str,
        run: str,
        evaluation: Mapping[str, Any],
        *,
        passed: bool,
        promote: bool,
        judged_against: str | None,
        why: str,
        number: int | None = None,
    ) -> ModelVersion:
        """Keep a trained model as a version and give it its alias, in one transaction.

        A bundle that is a version already keeps its number. One that passed and is to be promoted becomes the
        champion; any other becomes the challenger, unless it answers already. A `number` keeps that of another store.
        Where this user may not change what answers, the version gets no alias.
        """
        with self.store.catalog.begin() as connection:
            self.store.catalog.alone(connection, f"models of {self.name}")
            held = self._aliases(connection)
            here = (models.c.pipeline == self.name) & (models.c.digest == digest)
            row = connection.execute(sa.select(models).where(here)).first()
            known = None if row is None else self._version(row, held)
            if known is None:
                last = connection.execute(
                    sa.select(sa.func.max(models.c.version)).where(models.c.pipeline == self.name)
                ).scalar()
                number = number or int(last or 0) + 1
                connection.execute(
                    models.insert(),
                    {
                        "pipeline": self.name, "version": number, "digest": digest, "run": run, "created": time.time(),
                        "user": whoami(), "judged_against": judged_against, "evaluation": json.dumps(evaluation), "report": None,
                    },
                )  # fmt: skip
            elif not self.store.catalog.may(connection, "UPDATE", models):
                return known
            else:
                number = known.version
                # How it is deployed may have changed, though the model has not.
                kept = {**known.evaluation, **{name: evaluation[name] for name in _DEPLOYING if name in evaluation}}
                here = (models.c.pipeline == self.name) & (models.c.version == number)
                connection.execute(models.update().where(here).values(evaluation=json.dumps(kept)))
            deploys = self.store.catalog.may(connection, "INSERT", deployments)
            if deploys and held.get(CHAMPION) != number:
                if passed and promote:
                    self._point(connection, CHAMPION, number, why)
                    if held.get(CHALLENGER) == number:
                        self._point(connection, CHALLENGER, None, f"v{number} became champion")
                elif held.get(CHALLENGER) != number:
                    self._point(connection, CHALLENGER, number, why)
        return self.version(number)

    def may_deploy(self) -> bool:
        """Whether this user may change what answers."""
        with self.store.catalog.read() as connection:
            return self.store.catalog.may(connection, "INSERT", deployments)

    def promote(self, version: int | str, why: str) -> ModelVersion:
        """Make a version the champion.

        Raises
        ------
        InputError
            When there is no such version.
        """
        made = self.version(version)
        with self.store.catalog.begin() as connection:
            held = self._aliases(connection)
            if held.get(CHAMPION) != made.version:
                self._point(connection, CHAMPION, made.version, why)
                if held.get(CHALLENGER) == made.version:
                    self._point(connection, CHALLENGER, None, f"v{made.version} became champion")
        return self.version(made.version)

    def rollback(self, why: str) -> ModelVersion:
        """Make the version that answered before the champion again.

        Raises
        ------
        InputError
            When none answered before.
        """
        current = self.champion()
        before = [item.version for item in self.history() if item.alias == CHAMPION and item.version is not None]
        if current is None or len(before) < 2:
            raise InputError(f"model {self.name}: no version answered before, so there is nothing to go back to")
        return self.promote(self._before(current.version), why)

    def previous(self, current: int) -> int | None:
        """Return the version that was champion before `current`; None where there was none."""
        try:
            return self._before(current)
        except InputError:
            return None

    def _before(self, current: int) -> int:
        """The champion before `current`, seen through earlier rollbacks: going back twice goes two back."""
        stack: list[int] = []
        for item in reversed(self.history()):
            if item.alias != CHAMPION or item.version is None:
                continue
            if item.version in stack:
                del stack[stack.index(item.version) + 1 :]
            else:
                stack.append(item.version)
        if len(stack) < 2 or stack[-1] != current:
            raise InputError(
                f"model {self.name}: no version answered before v{current}, so there is nothing to go back to"
            )
        return stack[-2]

    def history(self) -> list[Deployment]:
        """Return every change of an alias, the latest first."""
        with self.store.catalog.read() as connection:
            question = (
                sa.select(deployments).where(deployments.c.pipeline == self.name).order_by(deployments.c.id.desc())
            )
            return [
                Deployment(row.alias, row.version, row.at, row.user, row.why) for row in connection.execute(question)
            ]

    def _point(self, connection: sa.Connection, alias: str, version: int | None, why: str) -> None:
        row = {
            "pipeline": self.name,
            "alias": alias,
            "version": version,
            "at": time.time(),
            "user": whoami(),
            "why": why,
        }
        connection.execute(deployments.insert(), row)

    def _aliases(self, connection: sa.Connection) -> dict[str, int]:
        newest = (
            sa.select(sa.func.max(deployments.c.id))
            .where(deployments.c.pipeline == self.name)
            .group_by(deployments.c.alias)
        )
        rows = connection.execute(sa.select(deployments).where(deployments.c.id.in_(newest)))
        return {row.alias: row.version for row in rows if row.version is not None}

    def _version(self, row: Any, held: Mapping[str, int]) -> ModelVersion:
        aliases = tuple(alias for alias, number in sorted(held.items()) if number == row.version)
        return ModelVersion(
            self.name,
            row.version,
            row.digest,
            row.run,
            row.created,
            row.user,
            aliases,
            json.loads(row.evaluation),
            row.judged_against,
        )


def names(store: Store) -> list[str]:
    """Return the pipelines that have models."""
    with store.catalog.read() as connection:
        return [
            str(name)
            for name in connection.execute(
                sa.select(models.c.pipeline).distinct().order_by(models.c.pipeline)
            ).scalars()
        ]
