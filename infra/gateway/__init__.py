"""Officer gateway: sign-in by OIDC and a default-deny proxy in front of Prefect; knows nothing of the product."""
