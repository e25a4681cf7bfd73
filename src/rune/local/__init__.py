"""The local stack: what the deployed system runs on, as processes of one machine (design.md 8)."""
