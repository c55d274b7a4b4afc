"""Reading: reports listed, pulled, acknowledged and explained, and what readers are told of what they were given."""
