"""Schema of the records database, step by step."""
