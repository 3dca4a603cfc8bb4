"""Outcomes that a client must handle, as types beside the answer."""

import graphene

from backstory.api.schema.fields import maybe, one


class Error(graphene.Interface):
    """Why there is no answer."""

    message = one(graphene.String, "What is wrong, in one line.")
    hint = maybe(graphene.String, "What to do about it.")


class InteractionNotFound(graphene.ObjectType):
    """Nothing was recorded under that id."""

    class Meta:
        interfaces = (Error,)
