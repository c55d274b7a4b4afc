"""Runs the migrations on the connection that `exchange.store` hands over, inside its transaction."""

from alembic import context
from sqlmodel import SQLModel

import exchange.store.tables  # noqa: F401  fills the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
context.run_migrations()
