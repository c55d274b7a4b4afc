"""entrypoints/jobs"""
