"""What comes in: JSON records by a mapping to columns of events, and what cannot be one, with its reason."""
