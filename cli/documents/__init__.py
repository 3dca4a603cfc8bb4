"""The JSON of everything that commands answer with: a stable shape, whatever the records become.

Names are camelCase. Times are RFC 3339 texts in UTC, numbers are exact, digests have all their
digits, what does not apply is null. A thing is named by its `ref`, never by a key of the database.
A field is added when there is more to say; none changes its meaning within a `schemaVersion`.
"""

from backstory.cli.documents import (  # each registers its records
    amendments,
    answers,
    care,
    changes,
    contracts,
    profiles,
    serving,
    slices,
    subjects,
    training,
)
from backstory.cli.documents.dispatch import Document, document, documents

__all__ = [
    "Document",
    "amendments",
    "answers",
    "care",
    "changes",
    "contracts",
    "document",
    "documents",
    "profiles",
    "serving",
    "slices",
    "subjects",
    "training",
]
