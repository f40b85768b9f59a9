"""Flows: procedures as an officer would tell them. No I/O, no parsing, no SQL."""
