"""Allocations keep what they left, and what the next unit of each instrument would have returned."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the columns; for allocations of before they stay NULL."""
    op.add_column("allocation", sa.Column("unallocated", sa.Double))
    op.add_column("allocation_line", sa.Column("marginal", sa.Double))
