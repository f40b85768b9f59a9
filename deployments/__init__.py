"""Deployments: what runs where and when, and the ways in."""
