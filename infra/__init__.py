"""Infra: brings up machines; imports nothing of the product but the blocks' settings."""
