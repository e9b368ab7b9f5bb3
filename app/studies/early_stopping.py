"""``python -m ucbd.app.studies.early_stopping RECORDS``: sequential sampling against all samples.

Prints a table: agreement and mean samples at each τ. Knows which clusterers there are.
"""

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from ucbd.app.clusterers import evaluation_clusterers
from ucbd.app.settings import read_settings
from ucbd.cascade.evaluation.early_stopping import measure, read_samples
from ucbd.models.errors import GatewayError


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; 2 for a file that cannot be used."""
    parser = argparse.ArgumentParser(description="Stopping early against drawing all samples.")
    parser.add_argument("records", type=Path, help="with many samples a question")
    parser.add_argument("--clusterer", default="jaccard")
    parser.add_argument("--error", type=float, nargs="+", default=[0.005, 0.01, 0.02])
    parser.add_argument("--shuffles", type=int, default=20, help="orders of each question")
    options = parser.parse_args(arguments)
    try:
        questions = read_samples(options.records)
        clusterer = evaluation_clusterers([options.clusterer], read_settings(None, {}))
        print("| error | τ at | agreement | mean samples | first half | halves |")
        print("|---|---|---|---|---|---|")
        for error in options.error:
            rows = asyncio.run(
                measure(questions, clusterer[options.clusterer], error, options.shuffles)
            )
            for row in rows:
                rates = f"{row.fixed:.1%} | {row.halves:.1%}"
                print(
                    f"| {error:g} | {row.quantile:.0%} ({row.tau:.3f}) | {row.agreement:.1%} "
                    f"| {row.samples:.1f} | {rates} |"
                )
            agreement = sum(row.agreement for row in rows) / len(rows)
            samples = sum(row.samples for row in rows) / len(rows)
            print(f"| {error:g} | mean | {agreement:.1%} | {samples:.1f} | | |", flush=True)
    except (GatewayError, OSError) as error:
        print(f"early_stopping: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
