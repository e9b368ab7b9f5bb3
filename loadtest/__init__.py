"""Load over HTTP against any running gateway. Imports nothing of ``ucbd``."""
