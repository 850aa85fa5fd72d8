"""How the embedded models were made, from nothing: sprites, scenes, and one script per model."""
