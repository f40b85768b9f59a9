"""The people round a dossier, played for the demo, the journeys and the benches."""
