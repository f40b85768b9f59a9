"""Attacks: each promise of docs/security.md has one that tries to break it, against real parts.

A test that takes the fixture `attack` is one, wherever it stands. `make attack` runs them all and prints the table.
"""
