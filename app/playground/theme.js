// Dark or light: the system's wish until the switch is used, then the reader's.

const KEPT_AS = "ucbd-playground-theme";

export function wireTheme(button) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = kept();
  const draw = () => {
    const dark = chosen ? chosen === "dark" : system.matches;
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    button.setAttribute("aria-pressed", String(dark));
  };
  button.addEventListener("click", () => {
    chosen = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    keep(chosen);
    draw();
  });
  system.addEventListener("change", draw);
  draw();
}

// A browser may refuse storage; then the choice lasts as long as the page.
function kept() {
  try {
    return localStorage.getItem(KEPT_AS);
  } catch {
    return null;
  }
}

function keep(theme) {
  try {
    localStorage.setItem(KEPT_AS, theme);
  } catch {
    // not kept
  }
}
