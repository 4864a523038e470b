"""The first tables.

A migration must stay what it was when it was released, so each later one states its own changes and
this one creates the tables as they stood at 0001.
"""

from alembic import op

from penstock.store.schema import metadata

revision = "0001"
down_revision = None


_LATER = {"rollouts", "api_keys", "decisions", "notes"}


def upgrade() -> None:
    metadata.create_all(op.get_bind(), [table for table in metadata.sorted_tables if table.name not in _LATER])


def downgrade() -> None:
    metadata.drop_all(op.get_bind(), [table for table in metadata.sorted_tables if table.name not in _LATER])
