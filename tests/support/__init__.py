"""What tests and benchmarks stand on. Knows nothing of `exchange` itself, save what a module says."""
