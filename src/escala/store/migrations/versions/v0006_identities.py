"""Writes have identities: a call that is repeated after a connection broke is kept once."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create the table; what was written before has no identity, and needs none."""
    op.create_table(
        "write_identity",
        sa.Column("identity", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
