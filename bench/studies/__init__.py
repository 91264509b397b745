"""The studies: declarations only. ``bench.registry`` finds them by name."""
