"""Linear light, and highlights beyond what a sensor holds."""
