"""Cells trained elsewhere: in worker processes on the devices of one or more machines.

``execution`` hands the cells of a session to a ``pool``, which decides which worker trains which cell, and does it
again after a failure. An engine starts workers and carries messages; ``ray_engine`` is the one there is.
"""
