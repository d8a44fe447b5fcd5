"""The demo: a simulated shop, and the view and summary of a run over its year."""
