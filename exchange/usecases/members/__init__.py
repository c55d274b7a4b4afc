"""Members and their people: enrolled, changed, stopped; their keys, their subscriptions, and their national caveats."""
