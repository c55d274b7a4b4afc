"""Runs the migrations on the connection that `exchange.store` hands over, inside its transaction."""

from alembic import context
from sqlmodel import SQLModel

import exchange.store.alert_tables
import exchange.store.blob_tables
import exchange.store.caveat_tables
import exchange.store.consultation_tables
import exchange.store.crisis_tables
import exchange.store.derivation_tables
import exchange.store.duty_tables
import exchange.store.life_tables
import exchange.store.log_tables
import exchange.store.personal_tables
import exchange.store.request_tables
import exchange.store.restore_tables
import exchange.store.schema_tables
import exchange.store.shared_tables
import exchange.store.stream_tables
import exchange.store.subscription_tables
import exchange.store.tables
import exchange.store.time_tables
import exchange.store.treaty_tables
import exchange.store.upload_tables
import exchange.store.walk_tables  # noqa: F401  fills the metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata)
context.run_migrations()
