"""The life of a report: its next versions, another label, recall, retention, destruction, its row held to its post."""
