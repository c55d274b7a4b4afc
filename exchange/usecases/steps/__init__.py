"""Steps that use cases share: who calls, what is judged, opened and sealed, what the log says and is told.

Does not: carry out a verb.
"""
