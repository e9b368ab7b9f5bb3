"""What the engine behind the page says; a question names one of these."""

from ucbd.models.errors import EngineFailed
from ucbd.models.scripted import Script

MARKUP = "<img src=x onerror=document.title='owned'><b>bold</b>"
PETS = ("A pony.",) * 5 + ("A cat.",) * 3 + ("A duck.",) * 2
SCRIPTS = {
    "pet": Script("A pony maybe", (0.1, 2.3, 0.4), PETS),
    "town": Script("In Lorne.", (0.01, 0.02), ("In Lorne.",)),
    "markup": Script(MARKUP, (2.0,), (MARKUP, "no")),
    "slow": Script("It takes its time", (0.1,), pace=3600),
    "breaks": Script("It breaks off", (0.1,), fault=EngineFailed("the script fails"), words=2),
    "fails": Script(fault=EngineFailed("the script fails")),
}


def script(prompt: str) -> Script:
    """The one whose name the prompt has."""
    return next((one for name, one in SCRIPTS.items() if name in prompt), Script())
