"""The HolmesGPT driver: a supervisor that never imports the agent's library, and a child that does."""
