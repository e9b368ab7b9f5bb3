"""``ucbd calibrate``: labelled answers → a profile that holds an error rate, or why there is none.

Reads, shows progress, writes the profile whole or not at all. Fits and certifies nothing itself.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import Any

from tqdm import tqdm

from ucbd.app.cli import EXIT_FAILED, EXIT_USAGE
from ucbd.app.commands.judge import Judge
from ucbd.app.files import check_file, replace_file, sha256
from ucbd.app.settings import read_settings
from ucbd.cascade.calibration.calibrate import calibrated
from ucbd.cascade.calibration.certificates import NotCertified
from ucbd.cascade.calibration.labelled import fitting_policy, made_for, only, usable
from ucbd.cascade.calibration.lifecycle import Wanted
from ucbd.cascade.calibration.profile import Certificate, RungProfile
from ucbd.cascade.evaluation.records import Record, read_all
from ucbd.cascade.ladder import LADDER, Rung
from ucbd.cascade.outcome import Outcome
from ucbd.cascade.policy import Policy
from ucbd.models.errors import GatewayError

_AT_ONCE = 64  # records; between them the bar moves


def calibrate(options: argparse.Namespace) -> int:
    """Exit code 0 with a profile, 1 where α is not certified, 2 for records that cannot be used."""
    try:
        check_file(options.out)
        profile = asyncio.run(_profile(options))
        replace_file(options.out, profile.model_dump_json(by_alias=True, indent=1) + "\n")
    except NotCertified as error:
        print(f"ucbd calibrate: {error}; nothing was written", file=sys.stderr)
        return EXIT_FAILED
    except (GatewayError, OSError) as error:
        print(f"ucbd calibrate: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(told(options.out.name, profile))
    return 0


async def _profile(options: argparse.Namespace) -> Policy:
    records = usable(read_all(options.records))
    flags = {"policy": options.policy} if options.policy else {}
    settings = read_settings(None, flags)
    model = made_for(records).model
    judge = Judge(options.clusterers, settings, model, keep_reasoning=False)
    wanted = only(judge.policy, options.stages)
    base = fitting_policy(wanted, records, judge.deciding, options.stop_error)
    return await calibrated(
        records,
        base.model_copy(update={"description": options.description}),
        _Shown(judge),
        Wanted(options.alpha, options.delta, options.groups),
        files=[sha256(path) for path in options.records],
        seed=options.seed,
    )


class _Shown:
    """The cascade on records, with a bar for each run of it."""

    def __init__(self, judge: Judge) -> None:
        self._judge = judge

    async def __call__(
        self, records: Sequence[Record], policy: Policy, rung: Rung, explain: bool
    ) -> list[Outcome]:
        found: list[Outcome] = []
        name = "every stage" if explain else rung.replace("_", " ")
        with tqdm(total=len(records), desc=name, unit="record", disable=None) as bar:
            for start in range(0, len(records), _AT_ONCE):
                some = records[start : start + _AT_ONCE]
                found += await self._judge.outcomes(some, policy, rung, explain)
                bar.update(len(some))
        return found


def told(name: str, profile: Policy) -> str:
    """The profile in words: what each rung holds."""
    made: Any = profile.calibration
    lines = [
        f"{name}: profile {made.id}, {made.records.fitted} records to fit, "
        f"{made.records.certified} to certify"
    ]
    lines += [
        f"  {rung.replace('_', ' ')}: {_rung(made.ladder[rung], made.delta)}" for rung in LADDER
    ]
    return "\n".join(lines)


def _rung(found: RungProfile, delta: float) -> str:
    one = found.certificate
    if one is None:
        return "not certified"
    text = (
        f"at most {one.risk_upper:.0%} wrong at confidence {1 - delta:.0%}; "
        f"held out, it answers {one.coverage:.1%} and {_share(one)} are wrong"
    )
    groups = "; ".join(
        f"{name} {each.coverage:.1%}, {_share(each)} wrong" for name, each in found.groups.items()
    )
    return f"{text} (by group: {groups})" if groups else text


def _share(one: Certificate) -> str:
    return f"{one.wrong} of {one.answered}"
