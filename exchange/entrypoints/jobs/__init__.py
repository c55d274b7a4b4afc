"""Work that the clock asks for: the sequencer, in a process of its own beside the workers.

Promises: it stops when told to or when whoever started it is gone, and does first what is left to do; a dead one is
replaced.
Does not: know where an instance keeps its things, or decide what is signed.
"""
