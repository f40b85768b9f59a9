"""Prefect's own UI behind the desk, for who runs the machine (role OPERATE): reading, and its dialog at a pause."""
