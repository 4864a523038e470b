"""The catalog's tables, as SQLAlchemy Core declares them; one place for SQLite and PostgreSQL."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION = "0006"
"""The revision of the schema below; earlier ones are brought here by ``store/migrations``."""

KNOWN_REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("status", String(16), nullable=False),
    Column("started", Float, nullable=False, index=True),
    Column("finished", Float),
    Column("user", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("git_commit", Text),
    Column("git_diff", Text),
    Column("packages", Text, nullable=False, comment="JSON: package -> version"),
    Column("parameters", Text, nullable=False, comment="JSON"),
    Column("seed", BigInteger, nullable=False),
    Column("file", Text),
    Column("summary", Text, comment="JSON: metrics, gate, model, report"),
    Index("ix_runs_pipeline_started", "pipeline", "started"),
)

steps = Table(
    "steps",
    metadata,
    Column("run", String(40), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("name", Text, nullable=False),
    Column("stage", Text),
    Column("status", String(16), nullable=False),
    Column("key", String(64), index=True),
    Column("digest", String(64), index=True),
    Column("started", Float, comment="null: nothing ran"),
    Column("seconds", Float),
    Column("cpu_seconds", Float),
    Column("peak_bytes", BigInteger),
    Column("bytes_in", BigInteger),
    Column("bytes_out", BigInteger),
    Column("causes", Text, comment="JSON: why it was stale"),
    Column("log", Text),
    Column("error", Text),
)

notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("run", String(40), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("tag", String(50), index=True, comment="null: a note"),
    Column("text", Text, comment="null: a tag"),
    Column("at", Float, nullable=False),
    Column("user", Text, nullable=False),
    UniqueConstraint("run", "tag", name="uq_notes_tag"),
)

artifacts = Table(
    "artifacts",
    metadata,
    Column("key", String(64), primary_key=True, comment="fingerprint of the step that wrote it"),
    Column("digest", String(64), nullable=False, index=True),
    Column("format", Text, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("value", LargeBinary, comment="the bytes themselves when they are few"),
    Column("pipeline", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("run", String(40), nullable=False),
    Column("parts", Text, comment="JSON: the components of the fingerprint"),
    Column("created", Float, nullable=False),
    Index("ix_artifacts_pipeline_step", "pipeline", "step", "created"),
)

lineage = Table(
    "lineage",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("input", Text, primary_key=True),
    Column("digest", String(64), nullable=False, index=True),
)

sources = Table(
    "sources",
    metadata,
    Column("digest", String(64), primary_key=True, comment="of the code as parsed"),
    Column("text", Text, nullable=False),
)

claims = Table(
    "claims",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("expires", Float, nullable=False),
)

SETTINGS = "--set"
"""Among a run's parameters, what was changed in its file for this run."""
JUDGED = "judged"
"""In a version's `evaluation`: digest of the model that the gate judged, where another one, fitted again, answers."""

models = Table(
    "models",
    metadata,
    Column("pipeline", Text, primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("digest", String(64), nullable=False, comment="of the model's bundle"),
    Column("run", String(40), nullable=False),
    Column("created", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("judged_against", String(64), comment="digest of the champion at the gate"),
    Column("evaluation", Text, nullable=False, comment="JSON: metrics, baseline, gate"),
    Column("report", String(64), comment="digest of the HTML report"),
)

deployments = Table(
    "deployments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("alias", Text, nullable=False),
    Column("version", Integer),
    Column("at", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("why", Text, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("kind", String(16), nullable=False, comment="canary or shadow"),
    Column("version", Integer, comment="null: ended"),
    Column("share", Float, nullable=False, comment="of the requests"),
    Column("at", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("why", Text, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("scope", String(16), nullable=False, comment="predict, feedback or admin"),
    Column("digest", String(64), nullable=False, comment="SHA-256 of the key"),
    Column("created", Float, nullable=False),
    Column("user", Text, nullable=False),
    Column("revoked", Float),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False),
    Column("cause", Text, nullable=False, comment="what is decided once"),
    Column("what", String(16), nullable=False, comment="retrain, promote, canary, rollback, alarm, calm or wait"),
    Column("status", String(16), nullable=False, comment="begun, done, failed, asked, approved or rejected"),
    Column("why", Text, nullable=False),
    Column("version", Integer),
    Column("run", String(40)),
    Column("at", Float, nullable=False),
    Column("ended", Float),
    Column("told", Float, comment="when all were told of it"),
    Column("answered_by", Text, comment="who approved or rejected it"),
    UniqueConstraint("pipeline", "cause", name="uq_decisions_cause"),
)

alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("pipeline", Text, nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("at", Float, nullable=False),
    Column("status", Text, nullable=False),
    Column("verdict", Text, nullable=False, comment="JSON"),
)

file_digests = Table(
    "file_digests",
    metadata,
    Column("path", Text, primary_key=True),
    Column("size", BigInteger, nullable=False),
    Column("modified_ns", BigInteger, nullable=False),
    Column("digest", String(64), nullable=False),
)
