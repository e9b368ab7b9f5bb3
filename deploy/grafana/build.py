"""The dashboard, as code: ``python deploy/grafana/build.py`` writes ``ucbd.json`` beside it.

Sits beside vLLM's own dashboards: the same variables (job, instance, model_name) and the tag vllm.
Every query is run against a real Prometheus in the tests. Knows the metrics (docs/metrics.md) and
the recording rules, and nothing of the gateway's code.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.builders import common, dashboard, prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DataSourceRef,
    VariableHide,
    VariableOption,
    VariableRefresh,
)

FILE = Path(__file__).with_name("ucbd.json")
OURS = 'job=~"$job", instance=~"$instance", model=~"$model_name"'
RECORDED = 'job=~"$job", model=~"$model_name"'
WINDOWED = f'{RECORDED}, window="$window"'
VLLM = 'job=~"$job", instance=~"$instance", model_name=~"$model_name"'
RATE = "[$__rate_interval]"
WINDOWS = ("1h", "6h", "1d", "7d")
SOURCE = DataSourceRef(type_val="prometheus", uid="$datasource")


@dataclass(frozen=True)
class Panel:
    """One plot: what it says, its unit in Grafana's words, and its queries by their legend."""

    title: str
    about: str
    unit: str
    queries: dict[str, str]
    stacked: bool = False


def rate(metric: str, by: str, more: str = "") -> str:
    """Per second, summed by some labels."""
    return f"sum by ({by}) (rate({metric}{{{OURS}{more}}}{RATE}))"


def quantiles(metric: str, by: str = "") -> dict[str, str]:
    """The 50th, 95th and 99th percentile of a histogram, by some labels."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    return {
        f"p{q}{legend}": f"histogram_quantile(0.{q}, {rate(f'{metric}_bucket', labels)})"
        for q in (50, 95, 99)
    }


def mean(metric: str, by: str = "model") -> str:
    """Of a histogram."""
    return f"{rate(f'{metric}_sum', by)} / {rate(f'{metric}_count', by)}"


REQUESTS = rate("ucbd_requests_total", "model")

DECISIONS = (
    Panel(
        "Decisions",
        "Requests with an answer (HTTP 200), by what was decided about it.",
        "reqps",
        {"{{decision}}": rate("ucbd_requests_total", "decision")},
        stacked=True,
    ),
    Panel(
        "Not answered, by boundary",
        "Share of requests that a boundary sent to abstain or escalate.",
        "percentunit",
        {
            "{{boundary}}": rate("ucbd_requests_total", "model, boundary", ', decision!="answer"')
            + f" / on (model) group_left {REQUESTS}"
        },
        stacked=True,
    ),
    Panel(
        "Stages by outcome",
        "How stages end. Many `unavailable` mean missing evidence, not uncertain answers.",
        "cps",
        {
            "{{stage}} {{outcome}}": rate(
                "ucbd_stage_outcomes_total", "stage, outcome", ', outcome!="skipped"'
            )
        },
    ),
)

HOMOGENIZATION = (
    Panel(
        "Single-cluster rate of the traffic",
        "Share of requests whose N samples all say the same, with its 95 % interval, over the "
        "chosen window. One cluster is not certainty: it is where sampling cannot rank.",
        "percentunit",
        {
            "{{clusterer}}": f"ucbd:single_cluster_rate{{{WINDOWED}}}",
            "{{clusterer}} lower": f"ucbd:single_cluster_rate:lower{{{WINDOWED}}}",
            "{{clusterer}} upper": f"ucbd:single_cluster_rate:upper{{{WINDOWED}}}",
        },
    ),
    Panel(
        "… whatever the lost draws were",
        "The interval if no lost draw had one cluster (lower), and if all had (upper).",
        "percentunit",
        {
            "{{clusterer}} lower": f"ucbd:single_cluster_rate:lower_with_lost{{{WINDOWED}}}",
            "{{clusterer}} upper": f"ucbd:single_cluster_rate:upper_with_lost{{{WINDOWED}}}",
        },
    ),
    Panel(
        "Draws that the rate rests on",
        "Of the rarer kind: below 10 they are too few to say anything.",
        "short",
        {
            "{{clusterer}} of the rarer kind": f"ucbd:scr_rarer_draws{{{WINDOWED}}}",
            "{{clusterer}} all": f"ucbd:scr_effective_draws{{{WINDOWED}}}",
        },
    ),
    Panel(
        "Lost draws, by cause",
        "Weight of draws without clusters beside that of all draws.",
        "percentunit",
        {
            "{{clusterer}} {{reason}}": rate(
                "ucbd_scr_lost_weight_total", "model, clusterer, reason"
            )
            + " / on (model, clusterer) group_left () ("
            + rate("ucbd_scr_lost_weight_total", "model, clusterer")
            + " + "
            + rate("ucbd_scr_weight_total", "model, clusterer")
            + ")",
            "uncovered requests": rate("ucbd_scr_uncovered_requests_total", "model")
            + f" / ({REQUESTS} + {rate('ucbd_errors_total', 'model')})",
        },
    ),
    Panel(
        "Canary set: the model's own rate",
        "The same questions every day, with the 95 % interval.",
        "percentunit",
        {
            "{{clusterer}}": f"ucbd_canary_single_cluster_rate{{{OURS}}}",
            "{{clusterer}} lower": f"ucbd_canary_single_cluster_rate_lower{{{OURS}}}",
            "{{clusterer}} upper": f"ucbd_canary_single_cluster_rate_upper{{{OURS}}}",
        },
    ),
    Panel(
        "Clusters of sampled requests",
        "Mean count, and how many had one cluster: of requests that the cascade chose to sample, "
        "so not of the traffic.",
        "short",
        {
            "mean {{clusterer}}": mean("ucbd_cluster_count", "clusterer"),
            "share of one {{clusterer}}": rate(
                "ucbd_cluster_count_bucket", "clusterer", ', le="1.0"'
            )
            + f" / {rate('ucbd_cluster_count_count', 'clusterer')}",
        },
    ),
)

UNCERTAINTY = (
    Panel(
        "Mean token entropy of answers",
        "In nats; higher is less certain.",
        "short",
        quantiles("ucbd_token_entropy_nats"),
    ),
)

CALIBRATION = (
    Panel(
        "Selective risk",
        "Share of wrong among the answered, of the last labels, with its 95 % interval. Labels of "
        "the audit are a uniform draw; feedback is volunteered, and tells less.",
        "percentunit",
        {
            "{{policy}} {{source}}": f"ucbd_selective_risk{{{OURS}}}",
            "{{policy}} {{source}} lower": f"ucbd_selective_risk_lower{{{OURS}}}",
            "{{policy}} {{source}} upper": f"ucbd_selective_risk_upper{{{OURS}}}",
        },
    ),
    Panel(
        "Coverage",
        "Share of requests that are answered, of the same labels.",
        "percentunit",
        {"{{policy}} {{source}}": f"ucbd_coverage{{{OURS}}}"},
    ),
    Panel(
        "Is the confidence right?",
        "Brier score and expected calibration error of `confidence`; lower is better.",
        "short",
        {
            "Brier {{policy}} {{source}}": f"ucbd_brier_score{{{OURS}}}",
            "ECE {{policy}} {{source}}": f"ucbd_calibration_error{{{OURS}}}",
        },
    ),
    Panel(
        "Drift",
        "Evidence that more answers are wrong than was promised (1 is none; the alarm comes at "
        "1 ÷ drift_delta, 20 as shipped), and the alarm.",
        "short",
        {
            "evidence {{policy}}": f"ucbd_drift_evidence{{{OURS}}}",
            "alarm {{policy}}": f"ucbd_drift_alarm{{{OURS}}}",
        },
    ),
    Panel(
        "Labels",
        "In the window, and drawn requests that wait for theirs.",
        "short",
        {
            "{{policy}} {{source}}": f"ucbd_labels{{{OURS}}}",
            "waiting": f"ucbd_audit_waiting{{{OURS}}}",
        },
    ),
)

COST = (
    Panel(
        "Cost per request and per answered request",
        "Tokens generated, in main answers: 1 is a request that cost no more than its answer.",
        "short",
        {
            "per request": mean("ucbd_relative_cost"),
            "per answered request": rate("ucbd_relative_cost_sum", "model")
            + " / "
            + rate("ucbd_requests_total", "model", ', decision="answer"'),
        },
    ),
    Panel(
        "Cost by stage",
        "Tokens generated for a stage, in main answers per request.",
        "short",
        {
            "{{stage}}": rate("ucbd_stage_cost_total", "model, stage")
            + f" / on (model) group_left {REQUESTS}"
        },
        stacked=True,
    ),
    Panel("Latency", "Of answered requests.", "s", quantiles("ucbd_request_seconds")),
    Panel(
        "Overhead",
        "The gateway's own time, without waiting for engine and models.",
        "s",
        quantiles("ucbd_overhead_seconds"),
    ),
    Panel(
        "Time by stage",
        "Mean time of a stage that ran.",
        "s",
        {"{{stage}}": mean("ucbd_stage_seconds", "stage")},
    ),
)

ERRORS = (
    Panel(
        "Errors by code",
        "Requests without an answer.",
        "reqps",
        {"{{code}}": rate("ucbd_errors_total", "code")},
        stacked=True,
    ),
    Panel(
        "Budgets spent",
        "Share of requests that failed, were refused, or took the gateway more than 25 ms.",
        "percentunit",
        {"{{budget}} {{window}}": f"ucbd:spent_share{{{RECORDED}}}"},
    ),
    Panel(
        "In flight",
        "Requests being served.",
        "short",
        {"{{instance}}": f"ucbd_in_flight{{{OURS}}}"},
    ),
    Panel(
        "Shed under load",
        "Share of answered requests for which load left stages out, by what was left.",
        "percentunit",
        {
            "{{rung}}": rate("ucbd_degraded_total", "model, rung")
            + f" / on (model) group_left {REQUESTS}"
        },
    ),
    Panel(
        "Engine deaths and restarts",
        "In the last hour.",
        "short",
        {"{{event}}": f"sum by (event) (increase(ucbd_engine_events_total{{{OURS}}}[1h]))"},
    ),
)


def vllm_rate(metric: str) -> str:
    """Per second, of a counter of the engine's."""
    return f"sum by (model_name) (rate({metric}{{{VLLM}}}{RATE}))"


ENGINE = (
    Panel(
        "Requests in the engine",
        "Running and waiting; samples and shadow draws are requests here.",
        "short",
        {
            "running": f"sum by (model_name) (vllm:num_requests_running{{{VLLM}}})",
            "waiting": f"sum by (model_name) (vllm:num_requests_waiting{{{VLLM}}})",
        },
    ),
    Panel(
        "Tokens",
        "Read and generated.",
        "cps",
        {
            "prompt": vllm_rate("vllm:prompt_tokens_total"),
            "generated": vllm_rate("vllm:generation_tokens_total"),
        },
    ),
    Panel(
        "Key-value cache in use",
        "Near 1 requests wait or are put back.",
        "percentunit",
        {"{{instance}}": f"vllm:kv_cache_usage_perc{{{VLLM}}}"},
    ),
    Panel(
        "Time to first token",
        "In the engine.",
        "s",
        {
            "p95": "histogram_quantile(0.95, sum by (le) "
            f"(rate(vllm:time_to_first_token_seconds_bucket{{{VLLM}}}{RATE})))"
        },
    ),
)

ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    ("Decisions", DECISIONS),
    ("Homogenization", HOMOGENIZATION),
    ("Uncertainty", UNCERTAINTY),
    ("Calibration", CALIBRATION),
    ("Cost and latency", COST),
    ("Errors and load", ERRORS),
    ("Engine (vLLM)", ENGINE),
)


def build() -> str:
    """The dashboard's JSON."""
    board = (
        dashboard.Dashboard("ucbd-gateway")
        .uid("ucbd-gateway")
        .description("What the cascade decides and costs, and how homogeneous the model is.")
        .tags(["ucbd", "vllm"])
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .refresh("30s")
        .time("now-6h", "now")
    )
    for variable in variables():
        board = board.with_variable(variable)
    for title, panels in ROWS:
        board = board.with_row(dashboard.Row(title))
        for panel in panels:
            board = board.with_panel(plot(panel))
    return JSONEncoder(sort_keys=True, indent=2).encode(board.build()) + "\n"


def variables() -> Sequence[object]:
    """Where the numbers come from and of what; the names are those of vLLM's dashboards."""
    chosen = [
        ("job", "label_values(ucbd_in_flight, job)"),
        ("instance", 'label_values(ucbd_in_flight{job=~"$job"}, instance)'),
        ("model_name", 'label_values(ucbd_in_flight{job=~"$job"}, model)'),
    ]
    windows = [
        VariableOption(text=w, value=w, selected=w == "1d") for w in ("1h", "6h", "1d", "7d")
    ]
    return [
        dashboard.DatasourceVariable("datasource").type("prometheus").hide(VariableHide.DONT_HIDE),
        *(
            dashboard.QueryVariable(name)
            .datasource(SOURCE)
            .query(query)
            .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
            .multi(True)
            .include_all(True)
            .all_value(".*")
            for name, query in chosen
        ),
        dashboard.CustomVariable("window")
        .values(",".join(WINDOWS))
        .options(windows)
        .current(VariableOption(text="1d", value="1d", selected=True)),
    ]


def plot(panel: Panel) -> timeseries.Panel:
    """Three in a row; the interval's ends are thin and the stacked ones are filled."""
    built = (
        timeseries.Panel()
        .title(panel.title)
        .description(panel.about)
        .unit(panel.unit)
        .datasource(SOURCE)
        .span(8)
        .height(8)
        .min(0)
        .fill_opacity(30 if panel.stacked else 0)
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
        )
    )
    if panel.stacked:
        built = built.stacking(common.StackingConfig().mode("normal"))
    for number, (legend, expr) in enumerate(panel.queries.items()):
        query = prometheus.Dataquery().expr(expr).legend_format(legend).ref_id(chr(65 + number))
        built = built.with_target(query)
    return built


if __name__ == "__main__":
    FILE.write_text(build(), encoding="utf-8")
    print(FILE)
