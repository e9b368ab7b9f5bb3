// A result as three sections: the decision, the samples in clusters, the cascade's path.

import { element, fill } from "./element.js";
import {
  STAGES,
  clusterWords,
  confidenceWords,
  cost,
  decisionWords,
  duration,
  nats,
  outcomeWord,
  sentence,
  stageReason,
} from "./words.js";

export function drawDecision(place, body) {
  const [title, why] = decisionWords(body);
  const shed = body.degraded ? "The gateway is under load and left dear stages out." : null;
  place.dataset.decision = body.decision;
  fill(
    place,
    element("h3", { id: "decision-title" }, title),
    element("p", {}, why),
    element("p", { class: "muted" }, confidenceWords(body)),
    shed === null ? null : element("p", { class: "muted" }, shed),
  );
}

export function drawSamples(place, found) {
  const most = Math.max(1, ...found.clusters.map((cluster) => cluster.size));
  let drop = 0;
  const rows = found.clusters.map((cluster, index) => {
    const dots = Array.from({ length: cluster.size }, () => {
      const dot = element("span", { class: "dot" });
      dot.style.setProperty("--turn", drop++);
      return dot;
    });
    const row = element(
      "li",
      { class: "cluster", "data-tone": index % 6 },
      element("span", { class: "dots", "aria-hidden": "true" }, ...dots),
      element("span", { class: "size" }, `${cluster.size} of ${found.samples}`),
      element("q", {}, cluster.text),
    );
    row.style.setProperty("--most", most);
    return row;
  });
  const entropy = found.semantic_entropy === null ? null : `Semantic entropy ${nats(found.semantic_entropy)}. `;
  fill(
    place,
    element("h3", { id: "samples-title" }, "Samples"),
    element("p", {}, clusterWords(found)),
    rows.length ? element("ol", { class: "clusters" }, ...rows) : null,
    rows.length ? element("p", { class: "muted" }, entropy, `Clustered by ${found.clusterer}.`) : null,
  );
}

export function drawPath(place, body) {
  const ends = decisive(body);
  const dearest = Math.max(1, ...body.stages.map((stage) => stage.cost ?? 0));
  const own = body.usage.relative_cost === null ? null : 1;
  const rows = body.stages.map((stage) => stageRow(stage, stage === ends, dearest));
  const { relative_cost: total, engine_calls: calls, sampled_tokens: sampled } = body.usage;
  const spent = total === null ? "What it cost is unknown." : `${total.toFixed(1)} × the answer’s own tokens in all.`;
  fill(
    place,
    element("h3", { id: "path-title" }, "The cascade’s path"),
    element("ol", { class: "path" }, mainRow(own, dearest), ...rows),
    element("p", { class: "muted" }, `${spent} ${calls} calls of the engine, ${sampled} tokens of samples.`),
  );
}

// The stage that the decision was made at: the one named, or the first that said "good enough".
function decisive({ reason, stages }) {
  if (reason) return stages.find((stage) => stage.name === reason.boundary) ?? null;
  return stages.find((stage) => stage.outcome === "accepted") ?? null;
}

function mainRow(own, dearest) {
  return element(
    "li",
    { class: "stage" },
    element("span", { class: "name" }, "answer"),
    element("span", { class: "what" }, "The model answers."),
    bar(own, dearest),
    element("span", { class: "cost" }, cost(own)),
  );
}

function stageRow(stage, decided, dearest) {
  const row = element(
    "li",
    { class: "stage", "data-outcome": stage.outcome },
    element(
      "span",
      { class: "name" },
      stage.name.replace("_", " "),
      element("span", { class: "outcome" }, outcomeWord(stage.outcome)),
      decided ? element("span", { class: "here" }, "decided here") : null,
    ),
    element(
      "span",
      { class: "what" },
      STAGES[stage.name] ?? "",
      element("span", { class: "muted" }, detail(stage)),
    ),
    bar(stage.outcome === "skipped" ? 0 : stage.cost, dearest),
    element(
      "span",
      { class: "cost" },
      stage.outcome === "skipped" ? "–" : cost(stage.cost),
      stage.outcome === "skipped" ? null : element("small", {}, duration(stage.seconds)),
    ),
  );
  return row;
}

function detail(stage) {
  const score = stage.score === null ? "" : `Score ${stage.score.toFixed(2)}`;
  const threshold = score && stage.threshold !== null ? `, fires above ${stage.threshold}` : "";
  const measured = score ? `${score}${threshold}. ` : "";
  return ` ${measured}${stage.reason ? `${sentence(stageReason(stage.reason))}` : ""}`;
}

function bar(value, dearest) {
  const made = element("span", { class: "bar", "aria-hidden": "true" });
  made.style.setProperty("--share", `${((value ?? 0) / dearest) * 100}%`);
  return made;
}
