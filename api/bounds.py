"""The bounds of a request, each with its unit, in one place."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What one request may cost.

    Attributes:
        body_bytes: bytes of a request's body or query string.
        document_characters: characters of a document.
        tokens: lexical tokens of a document.
        comments: comments in a document.
        errors: validation errors that are reported.
        depth: fields inside fields, introspection aside (graphql-core bounds that itself).
        fields: fields after fragments are expanded.
        aliases: aliases after fragments are expanded.
        nodes: objects that lists may give, by the sizes that are asked for.
        seconds: time to answer.
        threads: requests that may wait for disk or database at one time.
    """

    body_bytes: int = 256 * 1024
    document_characters: int = 20_000
    tokens: int = 2_000
    comments: int = 200
    errors: int = 20
    depth: int = 14
    fields: int = 600
    aliases: int = 60
    nodes: int = 20_000
    seconds: float = 10.0
    threads: int = 8
