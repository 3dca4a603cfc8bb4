"""Readers that turn what arrives (text, Parquet, Arrow, pandas) into Arrow under a contract."""
