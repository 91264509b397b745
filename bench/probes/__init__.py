"""What trained models do beyond their accuracy: under corrupted inputs, and inside. Trains nothing."""

PROBES = ("robustness", "features")
"""What a study can ask for (``Study.probes``); ``bench/test_<name>.py`` measures it."""
