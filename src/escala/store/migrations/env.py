"""Where Alembic begins: it migrates over the connection that opening a store hands it."""

from alembic import context

from escala.store.schema import REVISION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=REVISION_TABLE)
context.run_migrations()
