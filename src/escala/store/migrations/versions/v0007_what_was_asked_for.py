"""Allocations keep what was held, what trading costs, groups with limits and prices, and what total was sought."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Add the columns and tables; for allocations of before what they did not keep stays NULL."""
    for name in ("hurdle", "reserve", "target"):
        op.add_column("allocation", sa.Column(name, sa.Double))
    op.add_column("allocation", sa.Column("goal", sa.Text))
    for name in ("held", "cost"):
        op.add_column("allocation_line", sa.Column(name, sa.Double))
    op.create_table(
        "allocation_group",
        sa.Column("allocation_id", sa.BigInteger, sa.ForeignKey("allocation.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("price", sa.Double),
        sa.Column("group_upper", sa.Double),
        sa.Column("group_lower", sa.Double),
        sa.Column("group_share", sa.Double),
    )
    op.create_table(
        "allocation_member",
        sa.Column("allocation_id", sa.BigInteger, sa.ForeignKey("allocation.id"), primary_key=True),
        sa.Column("group_place", sa.Integer, primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
    )
