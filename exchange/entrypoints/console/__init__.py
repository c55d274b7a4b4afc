"""The web console; its issue has not come yet."""
