"""Sample reports that the demo posts; README.md beside them says where their facts come from."""
