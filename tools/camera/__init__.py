"""Fits the simulator's light to pictures of the original data, and writes what docs/data.md shows of the fit."""
