"""Every migration runs on both databases."""

from tests.databases import databases, postgresql, sqlite

__all__ = ["databases", "postgresql", "sqlite"]
