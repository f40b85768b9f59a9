"""Where a dossier waits for a person, or for a service that is away: who may decide, and what a decision binds."""
