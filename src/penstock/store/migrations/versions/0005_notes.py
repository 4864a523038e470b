"""What people say of runs."""

from alembic import op

from penstock.store.schema import notes

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    notes.create(op.get_bind(), checkfirst=True)


def downgrade() -> None:
    notes.drop(op.get_bind())
