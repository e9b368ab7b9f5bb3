// What this page was told since it was opened: the last answers, and how often samples all agreed.

import { element } from "./element.js";
import { percent } from "./words.js";

const KEPT = 50;
const LABELS = { answer: "answered", abstain: "abstained", escalate: "escalated" };

export class History {
  constructor(list, rate, onChosen) {
    this.list = list;
    this.rate = rate;
    this.onChosen = onChosen;
    this.tallies = new Map(); // clusterer → {one, all}
    this.#drawRate();
  }

  // `entry` is {request, body, …}; all of it goes back to `onChosen`.
  add(entry) {
    const { request, body } = entry;
    const button = element(
      "button",
      { type: "button", class: "past" },
      element("span", { class: "past-question" }, request.prompt),
      element("span", { class: "past-decision", "data-decision": body.decision }, LABELS[body.decision]),
    );
    button.addEventListener("click", () => this.onChosen(entry));
    this.list.prepend(element("li", {}, button));
    while (this.list.children.length > KEPT) this.list.lastElementChild.remove();
    this.#count(request, body.uncertainty);
    this.#drawRate();
  }

  // Only where every stage ran and every sample came: the others were selected by what is counted.
  #count(request, { samples, samples_planned: planned, homogenized, clusterer }) {
    if (!request.explain || planned === 0 || samples !== planned || homogenized === null) return;
    const tally = this.tallies.get(clusterer) ?? { one: 0, all: 0 };
    tally.one += homogenized ? 1 : 0;
    tally.all += 1;
    this.tallies.set(clusterer, tally);
  }

  #drawRate() {
    if (!this.tallies.size) {
      this.rate.replaceChildren(
        element("p", { class: "muted" }, "What you ask is listed here. The first explained answer begins a single-cluster rate: how often all samples say the same."),
      );
      return;
    }
    const found = [...this.tallies].map(([clusterer, { one, all }]) => {
      const [low, high] = wilson(one, all);
      return element(
        "div",
        { class: "tally" },
        element("strong", {}, percent(one / all)),
        element("span", {}, `single-cluster rate: ${one} of ${all}, 95 % interval ${percent(low)} to ${percent(high)}`),
        element("small", { class: "muted" }, `By ${clusterer}.`),
      );
    });
    const note = "Of your explained and complete requests on this page only; it says nothing about the traffic.";
    this.rate.replaceChildren(...found, element("p", { class: "muted" }, note));
  }
}

// Wilson's 95 % interval of a rate.
export function wilson(hits, all) {
  const z = 1.959964;
  const share = hits / all;
  const scale = 1 + (z * z) / all;
  const middle = (share + (z * z) / (2 * all)) / scale;
  const half = (z / scale) * Math.sqrt((share * (1 - share)) / all + (z * z) / (4 * all * all));
  return [Math.max(0, middle - half), Math.min(1, middle + half)];
}
