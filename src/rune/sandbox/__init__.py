"""Simulators of a model server and a Kubernetes API, for offline trial and tests (holmes-driver.md 6).

with OllamaSim() as ollama, KubeSim("crash_loop") as cluster:
    ollama.url, cluster.url, ollama.requests, ollama.fault(kind="status", status=429, times=2)
"""
