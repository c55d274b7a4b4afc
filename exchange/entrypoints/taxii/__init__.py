"""entrypoints/taxii"""
