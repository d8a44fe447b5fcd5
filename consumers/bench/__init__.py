"""How fast stream-seg is on this machine and its servers, beside others that move the same records."""
