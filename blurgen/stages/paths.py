"""Blurs by motion along a line or curve other than the uniform one."""
