"""The dashboard's panels and queries, and values for its variables."""

import json
from pathlib import Path

GRAFANA = Path(__file__).parents[2] / "deploy" / "grafana"
BOARD = json.loads((GRAFANA / "ucbd.json").read_text("utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    f"{panel['title']}: {target['legendFormat']}": target["expr"]
    for panel in PANELS
    for target in panel["targets"]
}
ENGINE = {name: expr for name, expr in QUERIES.items() if "vllm:" in expr}
GATEWAY = {name: expr for name, expr in QUERIES.items() if name not in ENGINE}
VALUES = {
    "$job": ".*",
    "$instance": ".*",
    "$model_name": ".*",
    "$window": "1h",
    "$__rate_interval": "1m",
}


def filled(expr: str) -> str:
    for name, value in VALUES.items():
        expr = expr.replace(name, value)
    return expr
