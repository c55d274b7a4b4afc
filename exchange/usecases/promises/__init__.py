"""Promises that parties made: counted, found broken, told of, and talked over."""
