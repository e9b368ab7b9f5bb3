// What the gateway is and offers: its engine's state, its policies, its examples.

import { byId, element } from "./element.js";
import { headers, reach } from "./stream.js";

const LOOK_SECONDS = { ready: 30, offline: 3 };

// Looks for ever, while the page is seen.
export async function watchEngine() {
  const place = byId("engine");
  for (;;) {
    const ready = document.hidden ? place.dataset.state === "ready" : await look(place);
    await new Promise((go) => setTimeout(go, 1000 * LOOK_SECONDS[ready ? "ready" : "offline"]));
  }
}

async function look(place) {
  let state = "offline";
  let words = "the gateway cannot be reached";
  try {
    const response = await fetch("readyz");
    const told = await response.json();
    state = response.ok ? "ready" : "offline";
    words = response.ok ? `${told.model} · ${told.entropy} entropy` : `engine offline: ${told.detail}`;
  } catch {
    // said in words already
  }
  place.dataset.state = state;
  if (place.textContent !== words) place.textContent = words;
  return state === "ready";
}

export async function drawSetup(onExample) {
  const setup = await (await reach("playground/setup")).json();
  byId("keyrow").hidden = !setup.keys;
  const buttons = setup.examples.map(({ shows, prompt }) => {
    const button = element("button", { type: "button", class: "example" }, prompt, element("small", {}, shows));
    button.addEventListener("click", () => onExample(prompt));
    return button;
  });
  byId("examples").replaceChildren(...buttons);
  return setup;
}

// Throws a Refusal where the key is not one of the gateway's.
export async function drawPolicies(key) {
  const found = await (await reach("policies", { headers: headers(key) })).json();
  const select = byId("policy");
  const options = found.policies.map(({ name, unavailable }) => {
    const option = element("option", { value: name }, unavailable ? `${name} (not here)` : name);
    option.disabled = unavailable !== null;
    option.selected = name === found.default;
    return option;
  });
  select.replaceChildren(...options);
  const describe = () => {
    const chosen = found.policies.find(({ name }) => name === select.value);
    byId("policynote").textContent = chosen?.description ?? "";
  };
  select.onchange = describe;
  describe();
}
