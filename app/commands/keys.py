"""``ucbd keys new``: a key, and its line for the keys file. ``app/keys.py`` knows what they are."""

import argparse
import sys

from ucbd.app.cli import EXIT_USAGE
from ucbd.app.keys import KeysUnreadable, new_entry


def new(options: argparse.Namespace) -> int:
    """Print the key, once, to standard error and its line to standard output.

    Returns the exit code.
    """
    policies = options.policies and tuple(name.strip() for name in options.policies.split(","))
    try:
        key, line = new_entry(options.name, options.requests, options.tokens, policies)
    except KeysUnreadable as error:
        print(f"ucbd keys new: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"the key, shown this once: {key}", file=sys.stderr)
    print(line)
    return 0
