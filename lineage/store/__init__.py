"""The one home of SQLAlchemy: tables, unit of work, reads and writes."""
