"""The `sohoa` command: `main` with its groups of commands, and what they do."""
