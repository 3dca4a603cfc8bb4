"""Homes kept elsewhere: taken while they are at work, and brought back whole."""
