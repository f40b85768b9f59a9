"""Benchmarks: ratios measured in one run against a peer (`make bench-…`); no test, no limits of time."""
