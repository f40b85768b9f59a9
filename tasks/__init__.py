"""Tasks: the verbs of the law. A Prefect task is a thin shell over plain functions that are tested without Prefect."""
