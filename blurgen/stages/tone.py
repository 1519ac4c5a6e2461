"""Changes of tone."""
