"""The demo: the exchange's main job on real input, every step checked.

Promises: a real server process, real mutual TLS, real files; whatever comes out otherwise than it must makes the
exit code 1.
Does not: know a short cut. The operator's steps are the use cases of `exchange client enrol` and its like, the
members' steps go through the client SDK.
"""

from exchange.cli.demo.command import demo

__all__ = ["demo"]
