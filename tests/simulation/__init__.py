"""Many partitions without servers: the production code's own step, adoption, minter and horizon."""
