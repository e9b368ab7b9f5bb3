"""``python deploy/kubernetes/rules.py``: the rules of deploy/prometheus/ as a PrometheusRule.

Copies text, comments included; knows no rule.
"""

from pathlib import Path

HERE = Path(__file__).parent
FILE = HERE / "base" / "prometheusrule.yaml"
HEAD = """\
# Made by deploy/kubernetes/rules.py from deploy/prometheus/: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: ucbd-gateway
spec:
  groups:
"""


def build() -> str:
    """The manifest's text."""
    text = HEAD
    for name in ("recording.yml", "alerts.yml"):
        rules = (HERE.parent / "prometheus" / name).read_text("utf-8")
        groups = rules.split("\ngroups:\n", 1)[1]
        text += "".join(f"  {line}".rstrip() + "\n" for line in groups.splitlines())
    return text


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
    print(FILE)
