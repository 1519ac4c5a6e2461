"""Blurs that differ from place to place."""
