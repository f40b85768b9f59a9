"""Seeded generator of sample dossiers: synthetic people, real form layouts, simulated scans, ground truth.

`python -m tests.samples OUT [--seed 2026] [--set demo|defects|all] [--bench PATH]` writes the dossiers;
`python -m tests.samples.documents OUT --count N --seed S [--type T]` writes single documents with their truth.
No person, id, number or address in them belongs to anybody. Same seed, same bytes.
"""
