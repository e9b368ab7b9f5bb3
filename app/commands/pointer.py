"""``ucbd pointer``: fit a pointer to a model's labelled answers, for the stage ``pointer``."""

import argparse
import sys

from ucbd.app.cli import EXIT_USAGE
from ucbd.app.files import check_file, replace_file, sha256
from ucbd.cascade.calibration.labelled import check_labels_agree
from ucbd.cascade.evaluation.pointer_fit import Labelled, fit, held_out, read
from ucbd.cascade.evaluation.ranking import auroc, auroc_interval
from ucbd.cascade.evaluation.records import RecordsUnreadable, read_records
from ucbd.cascade.pointer import FEATURES
from ucbd.models.errors import GatewayError


def pointer(options: argparse.Namespace) -> int:
    """Read, fit, say how it ranks what it was not fitted to, write. 2 for unusable records."""
    try:
        check_file(options.out)
        sources = [list(read_records(path)) for path in options.records]
        models = {record.model for records in sources for record in records} - {None}
        model = options.model or (models.pop() if len(models) == 1 else None)
        if model is None:
            raise RecordsUnreadable(f"the records name {len(models)} models: say --model NAME")
        for records in sources:  # apart: each file may be of a world of its own
            check_labels_agree([r for r in records if r.answer and r.correct is not None])
        try:
            answers = read(sources)
        except ValueError as error:
            raise RecordsUnreadable(f"{', '.join(map(str, options.records))}: {error}") from error
        found = fit(answers, model, [sha256(path) for path in options.records])
        written = found.model_dump_json(by_alias=True, indent=1) + "\n"
        replace_file(options.out, written)
    except (GatewayError, OSError) as error:
        print(f"ucbd pointer: {error}", file=sys.stderr)
        return EXIT_USAGE
    print(f"{options.out}: {found.questions:,} answers, {found.wrong:,} of them wrong")
    print(_ranking(answers))
    return 0


def _ranking(answers: Labelled) -> str:
    """How it ranks answers held out, beside mean token entropy, its first feature."""
    several = len(set(answers.source.tolist())) > 1
    by = "each file by a pointer to the others" if several else "five folds"
    scores = {"pointer": held_out(answers), FEATURES[0]: answers.features[:, 0]}
    told = []
    for name, values in scores.items():
        low, high = auroc_interval(values, answers.wrong)
        told.append(f"{name} {auroc(values, answers.wrong):.3f} [{low:.3f}, {high:.3f}]")
    return f"AUROC held out ({by}): {'; '.join(told)}"
