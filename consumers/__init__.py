"""What runs: the command line and what its commands do."""
