"""Imports are known, and so are the rows of a file by what they said; removals of records have numbers."""

import re

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

#: How imports of before named their source: the file, and a digest of its records.
_FORMERLY = re.compile(r"(?s)(.+) [0-9a-f]{24}")


def upgrade() -> None:
    """Create tables and columns; what earlier versions imported becomes imports of a time that nobody knows."""
    op.create_table(
        "record_import",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("at", sa.BigInteger),
        sa.Column("file", sa.Text, nullable=False),
        sa.Column("added", sa.BigInteger, nullable=False),
        sa.Column("duplicates", sa.BigInteger, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "record_removal",
        sa.Column("symbol", sa.Text, primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.add_column("efficiency_record", sa.Column("import_id", sa.BigInteger))
    op.add_column("efficiency_record", sa.Column("fingerprint", sa.BigInteger))
    connection = op.get_bind()
    sources = connection.execute(
        sa.text("SELECT source, count(*) FROM efficiency_record GROUP BY source ORDER BY min(id)")
    ).all()
    former = [(source, found[1], int(count)) for source, count in sources if (found := _FORMERLY.fullmatch(source))]
    for source, file, count in former:
        number = connection.execute(
            sa.text("INSERT INTO record_import (file, added, duplicates) VALUES (:file, :count, 0) RETURNING id"),
            {"file": file, "count": count},
        ).scalar_one()
        connection.execute(
            sa.text("UPDATE efficiency_record SET import_id = :number WHERE source = :source"),
            {"number": number, "source": source},
        )
