"""Names of the people of the invented world: no surname is given twice."""

from random import Random

FIRST_NAMES = (
    "Ada Bram Cleo Dario Edda Finn Gita Hugo Ines Jonas Kaja Levi Mira Nils Orla Pavel Quin Runa "
    "Sven Tilda Ugo Vera Wim Xenia Yann Zora Alma Boris Carla Dorn Elin Falk Greta Hedy Ivo Jana"
).split()
_ONSETS = "B Br C Cr D Dr F Fl G Gr H J K Kl L M N P Pr R S St T Tr V W Z".split()
_MIDDLES = "a e i o u au ei".split()
_CODAS = "ss ll nn rd st ck lm rn x th ng sk".split()
_ENDS = ("", "", "er", "a", "ow", "in", "berg", "ley", "sen", "o", "els", "ith")


def full_names(random: Random, count: int, taken: frozenset[str]) -> list[str]:
    """``count`` full names, each with a surname of its own that is not a ``taken`` word."""
    surnames: dict[str, None] = {}
    while len(surnames) < count:
        parts = (_ONSETS, _MIDDLES, _CODAS, _ENDS)
        surname = "".join(random.choice(part) for part in parts)
        if surname.casefold() not in taken:
            surnames[surname] = None
    return [f"{random.choice(FIRST_NAMES)} {surname}" for surname in surnames]
