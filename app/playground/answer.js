// The answer as it comes: each part shaded by the entropy of its tokens, which is known later.

import { element } from "./element.js";
import { nats } from "./words.js";

const HIGH = 1; // nats; the gateway's own "high"

export class Answer {
  constructor(place) {
    this.place = place;
    this.place.replaceChildren();
    this.parts = []; // {space, mark, text, first, tokens}, and entropy once it is known
    this.entropies = [];
    this.running = null;
    this.text = "";
  }

  add({ text, entropy, entropies, tokens }) {
    this.running = entropy ?? this.running;
    this.entropies.push(...entropies);
    const last = this.parts.at(-1);
    const first = last ? last.first + last.tokens : 0;
    const words = text.trimStart();
    const space = text.slice(0, text.length - words.length); // stays without a shade
    const mark = element("span", { class: "token" }, words);
    this.parts.push({ space, mark, text, first, tokens: tokens ?? 1 });
    this.text += text;
    this.place.append(space, mark);
    this.#shade();
  }

  // Once more, after another answer stood there.
  redraw() {
    this.place.replaceChildren(...this.parts.flatMap(({ space, mark }) => [space, mark]));
  }

  // The part with the least certain token: {text, entropy}; null where nothing is known.
  get leastCertain() {
    const known = this.parts.filter((part) => part.entropy !== undefined && part.text.trim());
    return known.reduce((worst, part) => (worst && worst.entropy >= part.entropy ? worst : part), null);
  }

  #shade() {
    for (const part of this.parts) {
      const own = this.entropies.slice(part.first, part.first + part.tokens);
      if (!part.text || !own.length) continue;
      const most = Math.max(...own);
      if (part.entropy === most) continue;
      part.entropy = most;
      // Steep where it matters: 0.1 nats are hardly a shade, 1 is strong, 2 nearly full.
      part.mark.style.setProperty("--heat", `${Math.round((1 - Math.exp(-most)) * 100)}%`);
      part.mark.classList.toggle("high", most > HIGH);
      part.mark.title = nats(most);
    }
  }
}
