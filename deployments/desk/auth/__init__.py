"""Who is at the desk: sign-in by OIDC, sessions and their end (WH04)."""
