"""Canaries, shadows, and keys of the web API."""

from alembic import op

from penstock.store.schema import api_keys, rollouts

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for table in (rollouts, api_keys):
        table.create(op.get_bind())


def downgrade() -> None:
    for table in (rollouts, api_keys):
        table.drop(op.get_bind())
