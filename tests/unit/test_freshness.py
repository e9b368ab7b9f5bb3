"""B3, freshness: the rule's words and dates, the formula by hand, domains and settings."""

import math
from datetime import UTC, date, datetime

import pytest

from ucbd.app.boundaries import made_boundaries
from ucbd.app.settings import Settings, SettingsInvalid, read_settings
from ucbd.cascade.boundaries.freshness import (
    Domain,
    Freshness,
    asked_times,
    asks_for_the_present,
)
from ucbd.cascade.case import Case, Measured, Question, Unavailable, Uninformative
from ucbd.cascade.ledger import Ledger
from ucbd.models.generation import EncodedPrompt, Generation, GenerationOptions, Missing
from ucbd.models.scripted import Script, ScriptedEngine

CUTOFF = date(2023, 12, 31)
ASKED = datetime(2026, 1, 1, tzinfo=UTC)


def case(text: str, asked_at: datetime | None = ASKED) -> Case:
    question = Question(
        EncodedPrompt(()), GenerationOptions(1), 0, "", text=text, asked_at=asked_at
    )
    main = Generation("It was Ada.", 4, "stop", Missing("not asked for"), 0, 0)
    return Case(question, main, main.entropies, ScriptedEngine(Script()), Ledger())


@pytest.mark.parametrize(
    "question",
    [
        "Who is the current mayor of Holm?",
        "Who is mayor of Holm today?",
        "what is the latest version",
        "Which films are showing this week?",
        "Who currently holds the record?",
        "Current president of France?",
        "Latest iPhone model?",
        "Give me latest news on X",
        "Who are the two most recent winners?",
        "Name current members of the council.",
        "Hello. Reigning champion of chess?",
        "List recent earthquakes",
    ],
)
def test_words_that_ask_for_the_present(question):
    assert asks_for_the_present(question)


@pytest.mark.parametrize(
    "question",
    [
        "Ada has 5 pens. Ada buys 3. How many pens now?",
        "Who was the first mayor of Holm?",
        "How does an electric current flow?",
        "When was the last time they won?",
        "Current flows through a wire of 3 ohm. How much?",
        "Current in a circuit is 2 A. What is the voltage?",
        "Show current flowing in the loop.",
        "What is the unit of current density?",
        "Answer by Friday at the latest: who was Ada?",
        "",
    ],
)
def test_words_that_do_not(question):
    assert not asks_for_the_present(question)


@pytest.mark.parametrize(
    ("question", "days"),
    [
        ("Who was mayor in 2025?", [date(2025, 12, 31)]),
        ("Who won the 2026 cup?", [date(2026, 12, 31)]),
        ("What happened on 12 May 2025?", [date(2025, 5, 12)]),
        ("What happened on May 12th, 2025?", [date(2025, 5, 12)]),
        ("What happened in Feb 2024?", [date(2024, 2, 29)]),
        ("What happened on 2025-05-12?", [date(2025, 5, 12)]),
        ("2031 World Cup winner?", [date(2031, 12, 31)]),
        ("Who takes the 2027 women's rugby world cup in 2027?", [date(2027, 12, 31)]),
        ("Who hosts Eurovision 2030?", [date(2030, 12, 31)]),
        ("Ada put 2025 marbles in the cup, and Bo 2031. Who is the winner?", []),
        ("2025 apples, 2026 pears: how many?", []),
        ("What is 2031 minus 2025?", []),
        ("Is 2024-13-01 a date, or 2023-02-30?", []),
        ("Is 2000 more than 1999?", []),
        ("A house for 2025 dollars, a run of 2024 metres", []),
    ],
)
def test_the_dates_a_question_names_are_their_last_days(question, days):
    assert list(asked_times(question)) == days


def test_freshness_by_hand():
    domain = Domain("all", CUTOFF, 0.5)
    assert domain.freshness(date(2023, 1, 1)) == 1
    assert domain.freshness(CUTOFF) == 1
    # 731 days are 2.001369 years: exp(-1.000684)
    assert domain.freshness(date(2025, 12, 31)) == pytest.approx(0.367628, abs=1e-6)


async def test_a_question_about_now_is_as_uncertain_as_the_time_since_the_cutoff():
    found = await Freshness([Domain("all", CUTOFF, 0.5)]).assess(case("Who is mayor today?"))
    assert isinstance(found, Measured)
    # 732 days: 1 - exp(-.5 * 2.004107)
    assert found.score == found.uncertainty == pytest.approx(0.632875, abs=1e-6)
    assert found.signal == "freshness(all,cutoff=2023-12-31,decay=0.5)"


async def test_of_several_times_the_latest_counts_and_a_date_needs_no_clock():
    boundary = Freshness([Domain("all", CUTOFF, 0.5)])
    found = await boundary.assess(case("Between 2020 and 2025, who?", None))
    assert found.score == pytest.approx(1 - math.exp(-0.5 * 731 / 365.25))


async def test_a_question_about_no_later_time_is_not_ranked():
    boundary = Freshness([Domain("all", CUTOFF, 0.5)])
    for text in ("Who was mayor in 2020?", "Who was mayor?", ""):
        found = await boundary.assess(case(text))
        assert isinstance(found, Uninformative)
        assert "no time after 2023-12-31" in found.reason


async def test_what_is_not_known_is_unavailable():
    found = await Freshness([]).assess(case("Who is mayor today?"))
    assert found == Unavailable("no knowledge cutoff is set for this model")
    boundary = Freshness([Domain("all", CUTOFF, 0.5)])
    found = await boundary.assess(case("Who is mayor today?", None))
    assert isinstance(found, Unavailable)


async def test_a_domain_with_words_goes_before_the_one_of_all_others():
    sport = Domain("sport", date(2025, 12, 31), 4.0, ("cup", "league"))
    boundary = Freshness([Domain("all", CUTOFF, 0.5), sport])
    assert isinstance(await boundary.assess(case("Who won the Cup in 2025?")), Uninformative)
    assert isinstance(await boundary.assess(case("Who ruled in 2025?")), Measured)
    assert isinstance(await boundary.assess(case("Who was cupbearer in 2025?")), Measured)


def test_domains_come_from_the_settings(tmp_path):
    file = tmp_path / "ucbd.toml"
    file.write_text(
        'knowledge_cutoff = 2025-06-01\n[[freshness_domains]]\nname = "sport"\n'
        'words = ["cup"]\ndecay_per_year = 4\n'
    )
    settings = read_settings(file, {}, {})
    assert settings.knowledge_cutoff == date(2025, 6, 1)
    assert settings.freshness_domains[0].words == ("cup",)
    assert made_boundaries(settings, {}, None).keys() >= {"freshness", "fluency", "sampling"}


def test_a_domain_without_any_cutoff_is_an_error_that_names_it(tmp_path):
    file = tmp_path / "ucbd.toml"
    file.write_text('[[freshness_domains]]\nname = "sport"\nwords = ["cup"]\ndecay_per_year = 4\n')
    with pytest.raises(SettingsInvalid, match="'sport' has no cutoff"):
        read_settings(file, {}, {})


async def test_the_embedded_models_know_their_cutoff_and_no_other_model_has_it():
    question = case("Who was mayor of Holm in 2024?")
    for model, kind in (("reference-dpo", Measured), ("other", Unavailable), (None, Unavailable)):
        boundary = made_boundaries(Settings(), {}, model)["freshness"]
        assert isinstance(await boundary.assess(question), kind)
