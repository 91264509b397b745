"""Fits the simulator's light to pictures of the original, and writes what docs/simulated.md shows of the fit."""
