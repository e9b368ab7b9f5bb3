// POST /generate as a stream: server-sent events in, one result out. Draws nothing.

// An answer that did not come. `code` is the gateway's, or "unreachable" or "broken".
export class Refusal extends Error {
  constructor(code, detail, retryAfter = null) {
    super(detail);
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export function headers(key) {
  return key ? { authorization: `Bearer ${key}` } : {};
}

// The body of a good response; throws a Refusal for any other.
export async function reach(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("unreachable", "No connection to the gateway could be made.");
  }
  if (response.ok) return response;
  throw refusal(await response.text(), response);
}

// Throws a Refusal, or an AbortError when `signal` is.
export async function ask(request, { key, signal, onToken }) {
  const response = await reach("generate", {
    method: "POST",
    headers: { "content-type": "application/json", ...headers(key) },
    body: JSON.stringify({ ...request, stream: true }),
    signal,
  });
  for await (const [name, data] of events(response.body)) {
    if (name === "token") onToken(data);
    else if (name === "result") return data;
    else if (name === "error") throw new Refusal(data.code, data.detail);
  }
  throw new Refusal("broken", "The stream ended before there was a result.");
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    let part;
    try {
      part = await reader.read();
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refusal("broken", "The connection broke before there was a result.");
    }
    if (part.done) return;
    const blocks = (rest + part.value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) yield event(block);
  }
}

function event(block) {
  let name = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (line.startsWith("data: ")) data += line.slice(6);
  }
  return [name, JSON.parse(data)];
}

function refusal(text, response) {
  const after = response.headers.get("retry-after");
  try {
    const { code, detail } = JSON.parse(text);
    return new Refusal(code ?? "broken", detail ?? text, after);
  } catch {
    return new Refusal("broken", `HTTP ${response.status} ${response.statusText}`, after);
  }
}
