"""Training of Sohoa's own recogniser of Vietnamese lines. Not imported by the product; torch only here."""
