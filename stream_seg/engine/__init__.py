"""State and ``step``, the minter, and the drivers that run them; pure but for the ports they are given."""
