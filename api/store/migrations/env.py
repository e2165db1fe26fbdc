"""Where Alembic's steps run: in the connection, and so in the transaction, that `api.store.upgrading` hands over."""

from __future__ import annotations

from alembic import context

from api.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=False)
context.run_migrations()
