"""Reference pages that are made from the code: docs/rules.md and docs/errors.md (`make docs-data`)."""
