"""Twisted protocols and factories around the core."""
