"""B5, grounding: support by words and by entailment, chunks, retrieval, and every missing part."""

import asyncio
from collections.abc import Sequence

import pytest

from tests.unit.test_cascade import ask, outcomes, policy
from ucbd.app.retriever import HttpRetriever, RetrieverFailed
from ucbd.cascade.boundaries.fluency import Fluency
from ucbd.cascade.boundaries.grounding import Grounding, chunks
from ucbd.cascade.support import Entailment, Wording
from ucbd.models.errors import EngineFailed
from ucbd.models.nli import Judgement, Pair
from ucbd.models.scripted import Script

WHERE = "Where was Elin Vell born?"
RULES = policy(stages=[{"stage": "grounding", "fire": 0.6, "accept": 0.2}, {"stage": "fluency"}])


async def ground(answer, evidence=(), *, text=WHERE, support=None, retriever=None, **options):
    boundaries = (Grounding(support or Wording(), retriever), Fluency())
    outcome, _ = await ask(
        Script(answer=answer, entropies=(0.01,)),
        text=text,
        evidence=tuple(evidence),
        boundaries=boundaries,
        rules=RULES,
        **options,
    )
    return outcome


async def test_support_by_words_is_the_share_of_new_words_that_one_chunk_has():
    # beyond the question: "tarn", "1950", "north"; the first chunk has two of them, the second one
    said = ["Elin Vell was born in Tarn in 1950 in the north."]
    found = await Wording().of(WHERE, said, ["Tarn, 1950", "the north"])
    assert found == [pytest.approx(2 / 3)]


@pytest.mark.parametrize("sentence", ["Elin Vell.", "Yes.", "No, born."])
async def test_words_cannot_tell_a_sentence_that_has_none_of_its_own(sentence):
    assert await Wording().of(WHERE, [sentence], ["anything"]) == [None]


class SaysSo:
    """Entailment of .9 where the hypothesis' last word is in the premise, else .1; keeps pairs."""

    name = "says-so"

    def __init__(self) -> None:
        self.asked: list[Pair] = []

    async def judge(self, pairs: Sequence[Pair]) -> list[Judgement]:
        self.asked += pairs
        said = [0.9 if text.split()[-1] in premise else 0.1 for premise, text in pairs]
        return [Judgement(p, 1 - p, 0.0) for p in said]


async def test_entailment_takes_the_best_chunk_and_reads_the_answer_behind_its_question():
    model = SaysSo()
    found = await Entailment(model).of(WHERE, ["Tarn", "Holm"], ["born in Tarn", "born in Asker"])
    assert found == [0.9, 0.1]
    assert ("born in Tarn", f"{WHERE} Tarn") in model.asked


async def test_a_sentence_is_held_against_the_nearest_chunks_only():
    model = SaysSo()
    far = [f"number {i} of other things" for i in range(100)]
    assert await Entailment(model).of(WHERE, ["Tarn"], [*far, "Elin Vell: Tarn"]) == [0.9]
    assert len(model.asked) == 8


async def test_what_the_evidence_entails_is_accepted_and_shared_words_are_not_enough():
    worded = await ground("Tarn", ["Elin Vell was born in Tarn."])
    assert outcomes(worded)[0] == ("grounding", "passed", None)
    assert worded.stages[0].score == 0
    # grounding's .3 and fluency's 1 - exp(-.01), on average
    assert worded.uncertainty == pytest.approx((0.3 + 0.00995) / 2, abs=1e-5)
    entailed = await ground("Tarn", ["Elin Vell was born in Tarn"], support=Entailment(SaysSo()))
    assert (entailed.decision, outcomes(entailed)[0]) == (
        "answer",
        ("grounding", "accepted", None),
    )
    assert entailed.uncertainty == pytest.approx(0.1)


async def test_an_unsupported_answer_fires():
    unsupported = await ground("Holm", ["Elin Vell was born in Tarn."])
    assert (unsupported.decision, unsupported.boundary) == ("abstain", "grounding")
    assert unsupported.verdict.action == "retrieve"
    assert "grounding(wording) is 1.000, above 0.6" in unsupported.verdict.message


async def test_the_score_is_the_mean_over_sentences():
    outcome = await ground("It was Tarn. It was Holm.", ["Tarn"])
    assert outcome.stages[0].score == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("answer", "evidence", "reason"),
    [
        ("Tarn", [], "there is no evidence to hold the answer against"),
        ("Tarn", ["", " \n\n "], "there is no evidence to hold the answer against"),
        ("Yes.", ["Tarn"], "the answer has no words but the question's, or a yes or no"),
    ],
)
async def test_what_cannot_be_told_is_unavailable(answer, evidence, reason):
    outcome = await ground(answer, evidence)
    assert outcomes(outcome)[0] == ("grounding", "unavailable", reason)
    assert outcome.stages[0].score is None


async def test_grounding_of_a_poem_is_out_of_scope():
    outcome = await ground("Waves", ["Tarn"], text="Write a poem about the sea.")
    assert outcomes(outcome)[0][2] == "out_of_scope: the prompt asks to write"


def test_chunks_are_paragraphs_and_overlapping_windows_of_long_ones():
    assert list(chunks(["a b\n\nc", "d"])) == ["a b", "c", "d"]
    words = [str(i) for i in range(200)]
    first, second = chunks([" ".join(words)])
    assert (first.split(), second.split()) == (words[:120], words[90:])


def test_chunks_of_megabytes_are_bounded():
    assert len(list(chunks(["a\n\n" * 1_000_000]))) == 4096
    assert len(list(chunks(["word " * 1_000_000]))) == 4096


class Shelf:
    """A retriever that takes ``delay`` seconds; raises its fault."""

    def __init__(self, documents=(), delay=0.0, fault=None) -> None:
        self.documents, self.delay, self.fault = documents, delay, fault
        self.asked: list[str] = []
        self.cancelled = False

    async def retrieve(self, question: str) -> list[str]:
        self.asked.append(question)
        try:
            await asyncio.sleep(self.delay)
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if self.fault:
            raise self.fault
        return list(self.documents)


async def test_evidence_is_retrieved_when_none_was_sent():
    shelf = Shelf(["Elin Vell was born in Tarn."])
    assert (await ground("Tarn", retriever=shelf)).stages[0].score == 0
    assert shelf.asked == [WHERE]
    await ground("Tarn", ["sent along"], retriever=shelf)
    assert shelf.asked == [WHERE]


async def test_retrieval_begins_before_the_answer_and_ends_with_the_request():
    shelf = Shelf(delay=60)
    script = Script(answer="Tarn", fault=EngineFailed("the engine broke"))
    with pytest.raises(EngineFailed):
        await ask(
            script, text=WHERE, boundaries=(Grounding(Wording(), shelf), Fluency()), rules=RULES
        )
    assert shelf.cancelled


async def test_a_retriever_that_is_too_slow_costs_the_evidence_and_not_the_answer():
    outcome = await ground("Tarn", retriever=Shelf(delay=60), deadline=0.2)
    assert outcomes(outcome)[0] == ("grounding", "unavailable", "deadline")
    assert outcome.generation.text == "Tarn"


async def test_a_retriever_that_fails_is_a_reason():
    outcome = await ground("Tarn", retriever=Shelf(fault=RetrieverFailed("it answered 500")))
    assert outcomes(outcome)[0] == ("grounding", "unavailable", "it answered 500")


@pytest.fixture
async def server():
    """A real HTTP server on a free port that answers as ``reply`` says."""
    reply = {"status": "200 OK", "body": b'{"documents": ["one", "two"]}'}
    heard: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        heard.append(await reader.readexactly(length))
        body = reply["body"]
        writer.write(
            f"HTTP/1.1 {reply['status']}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n".encode()
            + body
        )
        writer.close()

    listening = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/search", reply, heard
    listening.close()


async def test_a_retriever_is_asked_for_eight_passages_over_http(server):
    url, _, heard = server
    assert await HttpRetriever(url).retrieve(WHERE) == ["one", "two"]
    assert heard == [b'{"query":"Where was Elin Vell born?","k":8}']


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"status": "500 Oh"}, "the retriever answered 500"),
        ({"body": b"{}"}, "the retriever's documents cannot be read: Field required"),
        ({"body": b"not json"}, "the retriever's documents cannot be read: Invalid JSON"),
        ({"body": b" " * 1_100_000}, "the retriever sent more than 1,048,576 bytes"),
    ],
)
async def test_what_a_retriever_does_wrong_is_said(server, changes, message):
    url, reply, _ = server
    reply.update(changes)
    with pytest.raises(RetrieverFailed, match=message):
        await HttpRetriever(url).retrieve(WHERE)


async def test_a_retriever_that_is_not_there_is_said():
    with pytest.raises(RetrieverFailed, match="connection"):
        await HttpRetriever("http://127.0.0.1:9/").retrieve(WHERE)
