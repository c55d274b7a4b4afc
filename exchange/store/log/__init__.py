"""The log: its tree and sequence, its search, its alerts, its archive, and the blobs that large parts share with it."""
