"""GraphQL over ASGI on loopback."""
