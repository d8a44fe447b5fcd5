"""Population k-means: pure numerics, without I/O and without a clock."""
