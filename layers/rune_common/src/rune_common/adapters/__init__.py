"""The technologies behind the ports: each module is named after the one that it speaks to."""
