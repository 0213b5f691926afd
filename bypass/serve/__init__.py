"""Serving: from options to a running server on one interface, and back to an untouched one.

preflight looks before anything is changed; plan turns options and facts into numbers; server puts the
parts together in the order that attaches last; lifecycle waits for signals and drains.
"""
