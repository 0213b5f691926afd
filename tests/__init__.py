"""A package of that name in the environment (a dependency of httplint brings one) must not stand before ours."""
