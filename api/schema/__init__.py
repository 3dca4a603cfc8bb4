"""The GraphQL schema, one module a noun; `docs/reference/schema.graphql` is its text."""

import graphene
from graphql import lexicographic_sort_schema, print_schema

from backstory.api.schema.entity import Dataset, Job
from backstory.api.schema.roots import Query

__all__ = ["printed", "schema"]

schema = graphene.Schema(query=Query, types=[Dataset, Job])


def printed() -> str:
    """The schema's text, sorted, as it is committed."""
    return print_schema(lexicographic_sort_schema(schema.graphql_schema)) + "\n"
