// The page around a clip: hand-written buttons, dark or light, downloads, conversations kept in this browser. Talks to nobody but this program.
() => {
  const KEPT = "emollm-conversations", KEEPING = "emollm-keep", LOOK = "emollm-look", MOST = 50;
  const ALIVE_MS = 8000;
  const say = () => document.getElementById("emollm-say")?.dataset ?? {};
  const read = (name, otherwise) => { try { return JSON.parse(localStorage.getItem(name)) ?? otherwise; } catch { return otherwise; } };
  const write = (name, value) => { try { localStorage.setItem(name, JSON.stringify(value)); } catch { /* full, or forbidden: nothing is kept then */ } };
  let current = crypto.randomUUID?.() ?? String(Math.random()), asked = "";

  const ask = (what, value) => { asked = JSON.stringify({ do: what, with: value }); document.getElementById("emollm-do")?.click(); };
  const note = (place, text, alert) => {
    const home = document.querySelector(`#${place} .prose, #${place} .html-container`) ?? document.getElementById(place);
    if (!home) return;
    const line = document.createElement("p");
    line.className = alert ? "em-note em-alert" : "em-note";
    line.setAttribute("role", alert ? "alert" : "status");
    line.textContent = text;
    home.replaceChildren(line);
  };

  const dark = (on) => document.body.classList.toggle("dark", on);
  const look = read(LOOK, null);
  if (look !== null) dark(look);

  // --- conversations kept in this browser
  const keeping = () => read(KEEPING, true);
  const list = () => {
    const home = document.getElementById("emollm-kept");
    if (!home) return;
    const words = say(), kept = read(KEPT, []);
    home.replaceChildren();
    const label = document.createElement("label"), box = document.createElement("input");
    label.className = "em-check"; box.type = "checkbox"; box.checked = keeping();
    box.addEventListener("change", () => { write(KEEPING, box.checked); if (!box.checked) { localStorage.removeItem(KEPT); list(); } });
    label.append(box, ` ${words.keeping ?? ""}`);
    const told = document.createElement("p");
    told.className = "em-soft"; told.textContent = kept.length ? words.note ?? "" : words.none ?? "";
    home.append(label, told);
    const rows = document.createElement("ul");
    for (const one of kept) {
      const row = document.createElement("li"), open = document.createElement("button"), forget = document.createElement("button");
      open.type = forget.type = "button"; open.className = "em-link"; forget.className = "em-link em-soft";
      open.textContent = one.turns[0]?.text.slice(0, 60) || "…";
      open.title = words.open ?? ""; open.addEventListener("click", () => { current = one.id; ask("restore", one.turns); });
      forget.textContent = words.forget ?? "";
      forget.setAttribute("aria-label", `${words.forget ?? ""}: ${open.textContent}`);
      forget.addEventListener("click", () => { write(KEPT, read(KEPT, []).filter((other) => other.id !== one.id)); list(); });
      const when = document.createElement("time");
      when.textContent = new Date(one.when).toLocaleDateString(words.lang ?? "en");
      row.append(open, when, forget);
      rows.append(row);
    }
    if (kept.length) home.append(rows);
  };

  window.emollm = {
    signal: () => asked,
    store: (record) => {
      let turns = [];
      try { turns = JSON.parse(record || "[]"); } catch { /* nothing to keep */ }
      if (!turns.length || !keeping()) return;
      const others = read(KEPT, []).filter((one) => one.id !== current);
      write(KEPT, [{ id: current, when: Date.now(), turns }, ...others].slice(0, MOST));
      list();
    },
    anew: () => { current = crypto.randomUUID?.() ?? String(Math.random()); },
    wipe: () => {
      const count = read(KEPT, []).length;
      localStorage.removeItem(KEPT);
      window.emollm.anew();
      list();
      return String(count);
    },
    save: (parcel) => {
      if (!parcel) return;
      const one = JSON.parse(parcel);
      const bytes = one.base64 ? Uint8Array.from(atob(one.base64), (letter) => letter.charCodeAt(0)) : one.text;
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([bytes], { type: `${one.type};charset=utf-8` }));
      link.download = one.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    },
    link: (length, variety, seed) => {
      const address = new URL(location.href);
      for (const [name, value] of [["lang", say().lang], ["length", length], ["variety", variety], ["seed", seed]]) {
        value === null || value === undefined || value === "" ? address.searchParams.delete(name) : address.searchParams.set(name, value);
      }
      navigator.clipboard?.writeText(address.href).catch(() => {});
      const text = document.createElement("span");
      text.textContent = `${say().copied ?? ""} ${address.href}`;
      return `<p class="em-note" role="status">${text.innerHTML}</p>`;
    },
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-do]");
    if (!button) return;
    const what = button.dataset.do;
    if (what === "theme") { const on = !document.body.classList.contains("dark"); dark(on); write(LOOK, on); return; }
    if (what === "about") { [...document.querySelectorAll("#emollm-tabs button[role=tab]")].at(-1)?.click(); scrollTo({ top: 0 }); return; }
    ask(what, button.dataset.with ?? null);
  });

  // --- too large a file is refused before it travels
  const tooBig = (files, event) => {
    const most = Number(say().most || Infinity), big = [...(files ?? [])].find((file) => file.size > most);
    if (!big) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    if (event.target.value !== undefined) event.target.value = "";
    const text = (say().big ?? "").replace("{name}", big.name).replace("{found}", Math.round(big.size / 1e6)).replace("{most}", Math.round(most / 1e6));
    note("emollm-clip-note", text, true);
  };
  document.addEventListener("change", (event) => event.target.matches?.("input[type=file]") && tooBig(event.target.files, event), true);
  document.addEventListener("drop", (event) => tooBig(event.dataTransfer?.files, event), true);

  // --- is the program still there?
  let missed = 0;
  setInterval(async () => {
    let there = false;
    try { there = (await fetch("emollm/alive", { cache: "no-store" })).ok; } catch { /* not there */ }
    missed = there ? 0 : missed + 1;
    let banner = document.getElementById("emollm-lost");
    if (missed >= 2 && !banner) {
      banner = document.createElement("p");
      banner.id = "emollm-lost"; banner.className = "em-note em-alert"; banner.setAttribute("role", "alert"); banner.textContent = say().lost ?? "";
      (document.querySelector("main.contain") ?? document.body).append(banner);
    } else if (there && banner) banner.remove();
  }, ALIVE_MS);

  // gradio draws the page piece by piece and anew for another language
  let seen = "";
  const taken = new Set();
  new MutationObserver(() => {
    for (const given of document.querySelectorAll(".em-handed")) {
      if (taken.has(given.dataset.id)) continue;
      taken.add(given.dataset.id);
      given.dataset.kind === "record" ? window.emollm.store(given.dataset.content) : window.emollm.save(given.dataset.content);
      given.removeAttribute("data-content");
    }
    for (const arrow of document.querySelectorAll("#emollm-chat .thought-group .arrow button:not([disabled])")) {
      arrow.disabled = true; // a nameless button inside a button: the outer one does the work
      arrow.setAttribute("aria-hidden", "true");
    }
    const now = `${say().lang} ${document.getElementById("emollm-kept") !== null}`;
    if (now === seen) return;
    seen = now;
    const root = document.documentElement;
    root.lang = say().lang ?? "en";
    root.style.setProperty("--em-drop", JSON.stringify(say().drop ?? ""));
    root.style.setProperty("--em-more", JSON.stringify(say().more ?? ""));
    list();
  }).observe(document.body, { childList: true, subtree: true });
}
