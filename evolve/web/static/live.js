"use strict";
// Asks for the moving part of a run's page again whenever the server says that the journal has grown.
(() => {
  const live = document.getElementById("live"), heard = document.getElementById("heard");
  const policy = window.trustedTypes
    ? trustedTypes.createPolicy("fragment", {createHTML: (text) => text})
    : {createHTML: (text) => text};
  const EVERY_MS = 700;
  let first = true, asked = false, asking = false, last = 0;

  // The answer is a page of ours, in which every text of a stranger is escaped already.
  function parsed(text) {
    const box = document.createElement("template");
    box.innerHTML = policy.createHTML(text);
    return box.content;
  }

  function replace(fresh) {
    const before = new Set([...live.querySelectorAll(".events li")].map((row) => row.textContent));
    const held = document.activeElement && live.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
    for (const row of fresh.querySelectorAll(".events li")) if (!before.has(row.textContent)) row.classList.add("new");
    live.replaceChildren(fresh);
    if (held) [...live.querySelectorAll("a")].find((link) => link.getAttribute("href") === held)?.focus();
    const latest = live.querySelector(".events li .words");
    if (latest) heard.textContent = latest.textContent.trim();
  }

  async function refresh() {
    if (asking) { asked = true; return; }
    asking = true;
    try {
      await new Promise((go) => setTimeout(go, Math.max(0, last + EVERY_MS - Date.now())));
      const answer = await fetch(live.dataset.part, {credentials: "same-origin"});
      if (answer.ok) replace(parsed(await answer.text()));
      last = Date.now();
    } finally {
      asking = false;
      if (asked) { asked = false; refresh(); }
    }
  }

  const events = new EventSource(live.dataset.events);
  events.addEventListener("message", () => { if (first) first = false; else refresh(); });
  events.addEventListener("error", () => { first = false; });
  window.addEventListener("pagehide", () => events.close());
})();
