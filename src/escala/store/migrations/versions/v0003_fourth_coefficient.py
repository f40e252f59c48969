"""Trainings have a column for a fourth coefficient."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the column; for trainings of before it stays NULL."""
    op.add_column("model_training", sa.Column("d", sa.Double))
