"""Work that the clock asks for; its issue has not come yet."""
