// What the gateway says in codes and numbers, in words. Touches no page.

const PROBLEMS = {
  unauthorized: "The gateway asks for a key",
  engine_unavailable: "The engine is offline",
  overloaded: "The gateway is full at the moment",
  rate_limited: "The limit of this key is reached",
  deadline_exceeded: "It took too long",
  invalid_request: "The gateway refused the question",
  malformed: "The gateway refused the question",
  body_too_large: "The question is too long",
  prompt_too_long: "The question is too long for the model",
  unknown_policy: "There is no such policy",
  policy_unavailable: "This policy cannot be used here",
  unreachable: "The gateway cannot be reached",
  broken: "The answer broke off",
  internal: "The model failed",
  upstream_error: "The model's server failed",
};

export function problemTitle(code) {
  return PROBLEMS[code] ?? "There is no answer";
}

export const STAGES = {
  freshness: "Does it ask about a time after the model’s cutoff?",
  grounding: "Does the evidence support the answer?",
  pointer: "Do answers that look like this tend to be wrong?",
  fluency: "How unsure was the model, word by word?",
  density: "Is it like the questions of the reference index?",
  association: "Do the names in question and answer belong together?",
  self_assessment: "Does the model believe its own answer?",
  sampling: "Do further samples say the same?",
};

const OUTCOMES = {
  accepted: "good enough",
  passed: "no objection",
  fired: "too uncertain",
  uninformative: "cannot tell",
  unavailable: "not measured",
  skipped: "skipped",
};

export const outcomeWord = (outcome) => OUTCOMES[outcome] ?? outcome;

const SKIPPED = {
  decided: "not needed: the decision was made before it",
  forbidden: "the request forbids samples",
  deadline: "no time was left",
};

export const stageReason = (reason) => SKIPPED[reason] ?? reason;

const ACTIONS = {
  retrieve: "documents to answer from",
  search: "a search for what is new",
  larger_model: "a larger model",
  human: "a person who knows",
};

export function decisionWords(body) {
  const action = ACTIONS[body.suggested_action];
  if (body.decision === "answer") {
    return ["Answered", "The evidence is good enough to answer."];
  }
  const why = body.reason ? sentence(body.reason.message) : "";
  if (body.decision === "escalate") {
    return ["Escalated", `${why} ${escalated(body, action)}`];
  }
  const shown = body.withheld ? "The model’s text is withheld." : "The text is shown all the same; do not rely on it.";
  const help = action ? ` What would help: ${action}.` : "";
  return ["Abstained", `${why} ${shown}${help}`];
}

function escalated(body, action) {
  const asked = body.escalation;
  if (!asked) return action ? `It is passed on: ${action}.` : "It is passed on.";
  if (asked.outcome === "answered") return `${asked.model ?? "The larger model"} was asked, and answered.`;
  return `A larger model was asked and gave no answer: ${asked.reason ?? "no reason was given"}.`;
}

export function confidenceWords(body) {
  const known = body.confidence === null ? null : `Right with a probability of ${percent(body.confidence)}.`;
  if (body.calibration) {
    const risk = percent(body.calibration.risk_upper);
    return `${known ?? ""} Of what this policy answers, at most ${risk} is wrong (certified on labelled traffic).`;
  }
  const missing = `No error rate is promised: ${body.calibration_missing ?? "no reason was given"}.`;
  return known ? `${known} ${missing}` : missing;
}

export function clusterWords(found) {
  if (found.homogenized === true) {
    return "All samples say the same. That is not certainty: where a model agrees with itself like this, right or wrong, sampling cannot rank the answer.";
  }
  if (found.cluster_count === null) return "No samples were drawn for this answer.";
  const support = found.answer_support === null ? "" : ` ${supported(found.answer_support)}`;
  const count = found.cluster_count === 1 ? "one meaning" : `${found.cluster_count} meanings`;
  return `${found.samples} samples, ${count}.${support}`;
}

function supported(share) {
  return share === 0 ? "None says what the answer says." : `${percent(share)} of them say what the answer says.`;
}

export const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? "" : ".");

export const percent = (share) => `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;

export const nats = (value) => `${value.toFixed(2)} nats`;

export function duration(seconds) {
  if (seconds < 0.001) return "< 1 ms";
  return seconds < 1 ? `${Math.round(seconds * 1000)} ms` : `${seconds.toFixed(1)} s`;
}

// Costs are in tokens of the main answer: 1 = as much again as the answer itself.
export function cost(value) {
  if (value === null) return "unknown";
  return value === 0 ? "free" : `${value.toFixed(1)} ×`;
}
