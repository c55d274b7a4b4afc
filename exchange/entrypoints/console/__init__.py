"""entrypoints/console"""
