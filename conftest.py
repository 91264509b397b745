"""Loads the pytest plug-in of the benchmarks: ``bench/harness/plugin.py`` has the options, fixtures and hooks."""

pytest_plugins = ["bench.harness.plugin"]
