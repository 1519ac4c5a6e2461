"""What a camera does to light: white balance, colour filters and their undoing, vignetting."""
