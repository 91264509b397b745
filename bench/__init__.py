"""How models are compared: protocols, training, measuring, records, tables. The benchmarks are test_*.py."""
