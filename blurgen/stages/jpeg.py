"""Artefacts of JPEG."""
