"""HTTP: what every way in shares: mutual TLS, the door, problem+json, routes and their declarations, operations.

Promises: no request reaches a use case without a certificate; every error has one answer, on the record.
Does not: know what a route is for; `api` and its siblings declare that.
"""
