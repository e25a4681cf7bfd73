"""A simulated Ollama server: `with OllamaSim() as ollama: ollama.url` (holmes-driver.md 6.1)."""

from rune.sandbox.ollama.models import Model
from rune.sandbox.ollama.scenarios import load_scenarios
from rune.sandbox.ollama.server import OllamaSim
from rune.sandbox.ollama.turn import Turn

__all__ = ["Model", "OllamaSim", "Turn", "load_scenarios"]
