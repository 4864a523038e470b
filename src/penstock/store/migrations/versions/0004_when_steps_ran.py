"""When each step of a run began; the latest runs of a pipeline found by an index."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # A catalog that is made now has the column from the first: 0001 takes its tables as they are declared.
    if "started" not in {column["name"] for column in sa.inspect(op.get_bind()).get_columns("steps")}:
        op.add_column("steps", sa.Column("started", sa.Float))
    op.create_index("ix_runs_pipeline_started", "runs", ["pipeline", "started"], if_not_exists=True)


def downgrade() -> None:
    op.drop_index("ix_runs_pipeline_started", "runs")
    op.drop_column("steps", "started")
