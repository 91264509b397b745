"""How pytest drives the benchmarks: options, session, resume, progress."""
