"""The access log: what a line looks like (format), and the thread that writes lines (writer).

Records come from the worker's ring, lines are made by the engine without the GIL; nothing here is on the data
path.
"""
