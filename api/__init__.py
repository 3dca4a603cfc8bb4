"""GraphQL over a home: what made a model, and what stood behind an answer, on loopback only."""
