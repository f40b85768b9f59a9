"""Decisions that were made: proven anew at each use, bound to what the officer saw, upheld until it is signed."""
