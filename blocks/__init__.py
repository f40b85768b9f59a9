"""Blocks: the nouns outside. Each is a Prefect Block (typed settings, secrets by reference) with a small interface."""
