"""Alembic revisions of the store; imported by nobody."""
