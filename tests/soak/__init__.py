"""Long trials of what must never go wrong: kills, faults, rot, endurance, digests; `make soak`."""
