"""Records -> numbers: statistics over seeds, verdicts, claims, comparisons of runs."""
