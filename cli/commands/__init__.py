"""One module a command; each parses, calls one use case, hands the result to Output."""
