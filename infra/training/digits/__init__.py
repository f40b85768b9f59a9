"""Trains the reader of handwritten digits (`blocks/ocr/digits.py`): `python -m infra.training.digits`."""
