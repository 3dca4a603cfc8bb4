"""The one home of openlineage-python: events out, events in, facets."""
