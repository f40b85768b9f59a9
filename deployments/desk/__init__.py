"""Pages that officers and operations see, served by the gateway."""
