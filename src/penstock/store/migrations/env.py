"""Alembic's environment: it is given a connection and runs what is missing, in that transaction."""

from alembic import context

from penstock.store.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
