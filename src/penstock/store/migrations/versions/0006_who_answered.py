"""Who answered what a watcher asked."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    # A catalog whose decisions are made now has the column from the first: 0003 takes its table as it is declared.
    if "answered_by" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("decisions")}:
        op.add_column("decisions", sa.Column("answered_by", sa.Text))


def downgrade() -> None:
    op.drop_column("decisions", "answered_by")
