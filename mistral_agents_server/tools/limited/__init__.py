"""Python code run within limits.

A run is three processes: the server, which asks (`runner`); a supervisor, which builds the walls and watches
(`supervisor`, `keeper`); and a worker, which runs the code (`worker`). It is called *limited*, never a sandbox:
nothing here was audited, and what the machine doesn't grant isn't there.
"""
