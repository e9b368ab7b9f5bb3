"""A gateway on a scripted engine in a process of its own: ``python -m tests.feedback.process``.

Arguments: port, file of the records. For tests that kill it.
"""

import sys

import uvicorn

from ucbd.app.main import create_app
from ucbd.app.settings import Settings
from ucbd.models.scripted import Script, ScriptedEngine
from ucbd.models.supervisor import SupervisedEngine


async def engine() -> ScriptedEngine:
    """Answers at once."""
    return ScriptedEngine(Script())


if __name__ == "__main__":
    settings = Settings(
        model="scripted", clusterer="jaccard", records=sys.argv[2], shadow=0, audit_share=0.5
    )
    app = create_app(settings, SupervisedEngine(engine), on_failure=lambda error: sys.exit(1))
    uvicorn.run(app, port=int(sys.argv[1]), log_level="warning")
