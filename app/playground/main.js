// The page: a question in, its answer and judgement out, one at a time.

import { Answer } from "./answer.js";
import { byId, element } from "./element.js";
import { drawPolicies, drawSetup, watchEngine } from "./gateway.js";
import { History } from "./history.js";
import { drawDecision, drawPath, drawSamples } from "./judgement.js";
import { Refusal, ask } from "./stream.js";
import { wireTheme } from "./theme.js";
import { nats, problemTitle } from "./words.js";

const JUDGED = ["decision", "samples", "path"];
const history = new History(byId("history"), byId("rate"), showAgain);
let running = null; // the AbortController of the question that is being asked

wireTheme(byId("theme"));
byId("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  start();
});
byId("prompt").addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  start();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") stop();
});
byId("stop").addEventListener("click", stop);
byId("key").addEventListener("change", offerPolicies);

watchEngine();
drawSetup((prompt) => {
  byId("prompt").value = prompt;
  start();
})
  .then((setup) => (setup.keys ? null : offerPolicies()))
  .catch(showProblem);

function offerPolicies() {
  return drawPolicies(byId("key").value).then(hideProblem).catch(showProblem);
}

function stop() {
  running?.abort();
}

function wanted() {
  const evidence = byId("evidence").value.trim();
  return {
    prompt: byId("prompt").value.trim(),
    explain: byId("explain").checked,
    ...(byId("policy").value && { policy: byId("policy").value }),
    ...(evidence && { evidence: [evidence] }),
  };
}

async function start() {
  const request = wanted();
  if (running || !request.prompt) return;
  running = new AbortController();
  const answer = begin(request);
  try {
    const body = await ask(request, {
      key: byId("key").value,
      signal: running.signal,
      onToken: (part) => {
        answer.add(part);
        drawEntropy(answer.running);
      },
    });
    const entry = { request, body, tokens: answer };
    finish(entry);
    history.add(entry);
  } catch (error) {
    if (error.name === "AbortError") say("Stopped.");
    else showProblem(error);
    byId("result").dataset.state = "broken";
    byId("result").hidden = !answer.text;
  } finally {
    running = null;
    busy(false);
  }
}

function begin(request) {
  hideProblem();
  busy(true);
  say("Asking…");
  byId("welcome").hidden = true;
  byId("result").hidden = false;
  byId("result").dataset.state = "running";
  byId("asked").textContent = request.prompt;
  byId("final").hidden = true;
  for (const id of JUDGED) byId(id).hidden = true;
  drawEntropy(null);
  byId("result").scrollIntoView({ block: "nearest" });
  return new Answer(byId("answer"));
}

function finish({ body, tokens }) {
  byId("result").dataset.state = "done";
  for (const id of JUDGED) byId(id).hidden = false;
  drawFinal(body, tokens.text);
  drawDecision(byId("decision"), body);
  drawSamples(byId("samples"), body.uncertainty);
  drawPath(byId("path"), body);
  drawMeasured(body, tokens);
  say(`${byId("decision-title").textContent}: ${body.answer ?? "the text is withheld"}`);
}

// What is answered where it is not what was streamed: withheld, or a larger model's.
function drawFinal(body, streamed) {
  const place = byId("final");
  place.hidden = body.answer === streamed;
  if (body.answer === null) place.textContent = "The policy withholds the model’s text.";
  else if (body.escalation?.outcome === "answered") {
    place.replaceChildren(element("strong", {}, `${body.escalation.model ?? "A larger model"} answers: `), body.answer);
  } else place.textContent = body.answer;
}

function drawMeasured(body, tokens) {
  const entropy = body.uncertainty.token_entropy;
  if (!entropy) {
    byId("entropy").textContent = `no token entropy: ${body.uncertainty.token_entropy_missing}`;
    return;
  }
  const kind = entropy.exact ? "exact" : `between ${nats(entropy.lower)} and ${entropy.upper === null ? "unknown" : nats(entropy.upper)}`;
  const mean = entropy.mean === null ? "mean unknown" : `mean ${nats(entropy.mean)}`;
  const worst = tokens.leastCertain;
  const least = worst ? ` · least certain “${worst.text.trim()}”, ${nats(worst.entropy)}` : "";
  byId("entropy").textContent = `${mean} over ${entropy.tokens} tokens, ${kind}${least}`;
}

function drawEntropy(running) {
  byId("entropy").textContent = running === null ? "" : `so far ${nats(running)} in the mean`;
}

function showAgain(entry) {
  if (running) return;
  hideProblem();
  byId("welcome").hidden = true;
  byId("result").hidden = false;
  byId("asked").textContent = entry.request.prompt;
  entry.tokens.redraw();
  finish(entry);
  byId("result").scrollIntoView({ block: "nearest" });
}

function busy(is) {
  byId("send").disabled = is;
  byId("stop").hidden = !is;
  byId("result").setAttribute("aria-busy", String(is));
}

function say(words) {
  byId("status").textContent = words;
}

function showProblem(error) {
  if (!(error instanceof Refusal)) throw error;
  const again = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  byId("problem").replaceChildren(
    element("strong", {}, problemTitle(error.code)),
    element("p", {}, `${error.message}${again}`),
  );
  byId("problem").hidden = false;
  say("");
}

function hideProblem() {
  byId("problem").hidden = true;
  byId("problem").replaceChildren();
}
