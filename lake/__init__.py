"""Tables, files, bytes: slices as Delta tables, snapshots, pins and artifacts.

Knows no model, no SQL database, no HTTP.
"""
