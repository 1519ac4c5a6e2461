"""Blurs of the lens: defocus, diffraction, and the analytic kernels that restoration papers use."""
