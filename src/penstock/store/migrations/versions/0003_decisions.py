"""What the watcher decided."""

from alembic import op

from penstock.store.schema import decisions

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    decisions.create(op.get_bind())


def downgrade() -> None:
    decisions.drop(op.get_bind())
