"""What officers see of their work: lists, who works on what, the history of a dossier."""
