"""Trainings and saturation points have a column for the ceiling, the most that comes out."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns; for trainings of before they stay NULL."""
    for table in ("model_training", "saturation_point"):
        op.add_column(table, sa.Column("ceiling", sa.Double))
