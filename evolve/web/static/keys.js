"use strict";
// Keys for all pages. A link or a field names its own key in `data-key`; rows are links with `data-row`.
(() => {
  const rows = () => [...document.querySelectorAll("[data-row]")];
  const typing = (at) => at instanceof HTMLElement && (at.matches("input, textarea, select") || at.isContentEditable);

  function step(by) {
    const all = rows();
    if (!all.length) return false;
    const now = all.indexOf(document.activeElement);
    const next = all[now < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(all.length - 1, Math.max(0, now + by))];
    next.focus();
    next.scrollIntoView({block: "nearest"});
    return true;
  }

  function pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (typing(event.target)) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const dialog = document.getElementById("keys");
    if (event.key === "?") { if (dialog.open) dialog.close(); else dialog.showModal(); event.preventDefault(); return; }
    if (dialog.open) return;
    if ((event.key === "j" || event.key === "k") && step(event.key === "j" ? 1 : -1)) { event.preventDefault(); return; }
    const wanted = [...document.querySelectorAll("[data-key]")].find((part) => part.dataset.key === event.key);
    if (!wanted) return;
    event.preventDefault();
    if (wanted.matches("input")) { wanted.focus(); wanted.select(); } else wanted.click();
  }

  document.addEventListener("keydown", pressed);
})();
