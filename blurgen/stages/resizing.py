"""Changes of scale."""
