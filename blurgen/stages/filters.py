"""Filters that are no convolution with a PSF."""
