"""The writers of both databases: entries and reports of many in one commit, and the reads beside them."""
