"""Runs revisions on the connection that `lineage.store.upgrade` hands over, in its transaction."""

import sqlalchemy as sa
from alembic import context

# Revisions name no constraint by hand; this is what names them, the same on every database.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=sa.MetaData(naming_convention=_NAMING),
)
context.run_migrations()
