"""What the exchange can do in a second, each figure beside its floor, measured in the same run.

`python -m benchmarks` fills real databases, serves them with the real server, loads it from a process of its own and
removes everything again. It promises like beside like: floor and case alternate, and the floor is the same server,
TLS and answer size without the exchange. It does not test: a wrong answer stops it, but that is all it looks for.
"""
