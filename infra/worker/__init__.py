"""The worker: Prefect work pool types that let in only what is ours, and bring lost runs back."""
