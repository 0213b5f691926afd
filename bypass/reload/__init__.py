"""A new image in place of the one served: made in a process of its own, taken over between two requests.

maker and child make images away from the data path; reloader hands them to a running server; control is the
socket over which `bypass reload` finds it; watch asks for a reload when files change.
"""
