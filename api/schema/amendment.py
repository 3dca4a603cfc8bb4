"""Amendments: what was recorded wrongly, and what superseded it."""

import graphene

from backstory.api.schema.fields import many, maybe, one
from backstory.api.schema.scalars import JSON, DateTime, Long


class AmendmentChange(graphene.ObjectType):
    """One record of an amendment."""

    of = one(graphene.String, "What is amended, as a ref.")
    before = maybe(JSON, "What was recorded; null where nothing was.")
    after = maybe(JSON, "What is so instead; null where nothing is.")


class Amendment(graphene.ObjectType):
    """A wrong record, and what superseded it; both stay."""

    at = one(DateTime, "When it was amended.")
    actor = one(graphene.String, "By whom.")
    reason = one(graphene.String, "Why the record was wrong.")
    changes = many(AmendmentChange, "Each record that was superseded, added or taken away.")
    entry = one(Long, "The entry of the audit log that it came with.", source="seq")


AMENDMENTS = "What was amended of its record, newest first."
