"""The diagnosis of a served model: how often self-consistency cannot rank its answers. No labels.

``questions`` are asked (``asking``, at a ``pace`` that the server bears); ``summary`` says what was
found: a report, a ``page``, a table (``terminal``). ``comparison`` holds two against each other.
"""
