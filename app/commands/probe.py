"""``ucbd probe``: what a server gives the gateway, and how a vLLM gives exact entropy.

Asks and prints; changes nothing.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.engines import named, upstream_key
from ucbd.app.settings import Settings, read_settings
from ucbd.models import exact_entropy
from ucbd.models.errors import GatewayError
from ucbd.models.upstream.client import UpstreamClient
from ucbd.models.upstream.introduction import Facts, introduce
from ucbd.models.upstream.plugin import EntropyRoute

START = (
    "VLLM_PLUGINS=ucbd vllm serve {model} "
    "--logits-processors ucbd_vllm.processor:EntropyProcessor "
    "--worker-extension-cls ucbd_vllm.worker.EntropyWorker"
)
_SECONDS = 60.0


def probe(options: argparse.Namespace) -> int:
    """Ask the server at ``options.url``, if one is named; 1 when it gives no answer."""
    if options.url is None:
        print(how_to_be_exact("MODEL"))
        return 0
    flags = {"upstream": [options.url]} | ({"model": options.model} if options.model else {})
    try:
        settings = read_settings(None, flags)
    except GatewayError as error:
        print(f"ucbd probe: {error}", file=sys.stderr)
        return EXIT_USAGE
    try:
        print(asyncio.run(_asked(settings)))
    except (GatewayError, TimeoutError) as error:
        why = str(error) or f"no answer within {_SECONDS:g} s"
        print(f"ucbd probe: {why}", file=sys.stderr)
        return EXIT_FAILED
    return 0


def how_to_be_exact(model: str) -> str:
    """What to do where vLLM runs."""
    folder = Path(exact_entropy.__file__).parent
    return (
        "exact entropy needs a small package where vLLM is installed, and this start:\n"
        f"  pip install {folder}\n  {START.format(model=model)}"
    )


def described(url: str, facts: Facts) -> str:
    """What an introduction found, in lines."""
    top = "no log-probabilities" if facts.top_k is None else f"the top {facts.top_k}"
    lines = [
        f"{url} serves {facts.model}",
        f"context: {facts.context_length or 'not told'}; vocabulary: "
        f"{facts.vocab_size or 'not told (the setting vocab_size bounds entropy from above)'}",
        f"asked by: {'chat/completions' if facts.chat else 'completions'}; gives {top}",
    ]
    if facts.inexact is None:
        return "\n".join([*lines, "token entropy: exact, checked against its log-probabilities"])
    lines.append(f"token entropy: bounds, because {facts.inexact}")
    return "\n".join([*lines, how_to_be_exact(facts.model)] if facts.vllm else lines)


async def _asked(settings: Settings) -> str:
    async with asyncio.timeout(_SECONDS):
        settings = await named(settings)
        client = UpstreamClient(settings.upstream[0], key=upstream_key(settings))
        try:
            route = EntropyRoute(client)
            facts = await introduce(client, route, settings.model, settings.vocab_size)
            return described(client.url, facts)
        finally:
            await client.close()
