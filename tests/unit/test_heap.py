"""What a process keeps out of its collections, in a process of its own."""

import subprocess
import sys

SETTLES = """
import asyncio, gc, weakref
from ucbd.app.heap import settle, settled
from ucbd.models.scripted import ScriptedEngine

class Ring:
    def __init__(self):
        self.itself = self

async def start():
    return ScriptedEngine()

before = len(gc.get_objects())
engine = asyncio.run(settled(start)())
print(type(engine).__name__, gc.get_freeze_count() > 0.9 * before, len(gc.get_objects()) < 1000)

ring = Ring()
gone = weakref.ref(ring)
settle()
del ring
gc.collect()
print(gone() is not None)
settle()
print(gone() is None)
"""


def test_a_collection_walks_nothing_of_the_start_and_the_next_start_frees_the_last_ones():
    done = subprocess.run([sys.executable, "-c", SETTLES], capture_output=True, text=True)
    assert done.stdout.split() == ["ScriptedEngine", "True", "True", "True", "True"], done.stderr
