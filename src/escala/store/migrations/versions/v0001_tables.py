"""All tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

_LIMITS = ("peak", "saturation", "saturation_low", "saturation_high", "capacity", "capacity_low", "capacity_high")


def _id() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)


def _numbers(*names: str) -> list[sa.Column[float]]:
    return [sa.Column(name, sa.Double) for name in names]


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "efficiency_record",
        _id(),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("capital", sa.Double, nullable=False),
        sa.Column("efficiency", sa.Double, nullable=False),
        sa.Column("weight", sa.Double, nullable=False),
        sa.Column("observed_at", sa.BigInteger, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("metrics", sa.JSON().with_variant(JSONB(), "postgresql")),
        sqlite_autoincrement=True,
    )
    op.create_index("efficiency_record_symbol", "efficiency_record", ["symbol", "id"])
    op.create_table(
        "model_training",
        _id(),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("trained_at", sa.BigInteger, nullable=False),
        sa.Column("last_record_id", sa.BigInteger, nullable=False),
        sa.Column("family", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        *_numbers("a", "b", "c", "origin", "trusted_to"),
        sa.Column("n_points", sa.BigInteger, nullable=False),
        *_numbers("r_squared", "rmse", "mean_error", "max_error", "residual_sd", "aicc", *_LIMITS),
        sa.Column("saturation_drop", sa.Double, nullable=False),
        sa.Column("layout", sa.Integer, nullable=False),
        sa.Column("curve", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("model_training_symbol", "model_training", ["symbol", "id"])
    op.create_table(
        "saturation_point",
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("training_id", sa.BigInteger, sa.ForeignKey("model_training.id"), nullable=False),
        sa.Column("trained_at", sa.BigInteger, nullable=False),
        *_numbers(*_LIMITS),
        sa.Column("saturation_drop", sa.Double, nullable=False),
    )
    op.create_index("saturation_point_training", "saturation_point", ["training_id"])
    op.create_table(
        "scaling_config",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("default_family", sa.Text, nullable=False),
        sa.Column("min_efficiency", sa.Double, nullable=False),
        sa.Column("rebalance_threshold", sa.Double, nullable=False),
        sa.Column("update_interval", sa.Double, nullable=False),
        sa.Column("reserve", sa.Double, nullable=False),
        sa.Column("min_ticket", sa.Double, nullable=False),
        sa.Column("max_share", sa.Double, nullable=False),
    )
    op.create_table(
        "symbol_config",
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("family", sa.Text),
        *_numbers("lower", "upper", "min_ticket", "max_share", "priority"),
    )
    op.create_table(
        "allocation",
        _id(),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("total", sa.Double, nullable=False),
        *_numbers("utility", "upper_bound", "gap", "shadow_price"),
        sa.Column("status", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "allocation_line",
        sa.Column("allocation_id", sa.BigInteger, sa.ForeignKey("allocation.id"), primary_key=True),
        sa.Column("place", sa.Integer, primary_key=True),
        sa.Column("symbol", sa.Text, nullable=False),
        sa.Column("amount", sa.Double, nullable=False),
        sa.Column("efficiency", sa.Double),
        sa.Column("binding", sa.Text, nullable=False),
    )
