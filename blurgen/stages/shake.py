"""Blurs by the shake of a hand-held camera: random trajectories."""
