"""Fit, judge and use networks that remove blur."""
