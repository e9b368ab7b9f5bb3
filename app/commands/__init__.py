"""What each command of ``ucbd`` does; ``app/cli.py`` says what it takes, and imports it then."""
