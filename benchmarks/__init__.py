"""Measurements that anybody can repeat: `python -m benchmarks.<name>`, `python -m benchmarks` for all of them."""
