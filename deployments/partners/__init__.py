"""The programming interface of partners: other systems hand dossiers in and follow them."""
