"""One module a command: its arguments, as click reads them, and the call of what does the work."""
