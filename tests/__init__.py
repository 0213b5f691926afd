"""A package, lest one of that name in the environment (httplint brings it) stand before it."""
