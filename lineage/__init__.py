"""The domain: what made a model, what it answered, and how the two are traced."""
