"""The exchange: states share encrypted intelligence reports under signed agreements, and prove who read what.

Each room is a package; `exchange/README.md` is the floor plan. Importing this package imports no room.
"""

__all__ = ["__version__"]

__version__ = "0.1.0"
