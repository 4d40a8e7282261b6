// What the frame does in the browser: links without loading everything again, fields that go into the address,
// light and dark, and what is said when the session or the server is gone.
(() => {
  const go = (href) => {
    if (href === location.pathname + location.search) return;
    history.pushState({}, "", href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  };

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-go]");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });

  document.addEventListener("change", (event) => {
    const field = event.target.closest("[data-field]");
    if (!field) return;
    const query = new URLSearchParams(location.search);
    query.delete("after");
    if (event.target.value) query.set(field.dataset.field, event.target.value);
    else query.delete(field.dataset.field);
    const search = query.toString();
    go(location.pathname + (search ? "?" + search : ""));
  });

  // Dash's input sets the cursor in every field; a browser's own field for days has none and would throw.
  const select = HTMLInputElement.prototype.setSelectionRange;
  HTMLInputElement.prototype.setSelectionRange = function (...range) {
    if (this.type !== "date") select.apply(this, range);
  };

  const themes = { "": "dark", dark: "light", light: "" };
  const named = { "": "Theme: system", dark: "Theme: dark", light: "Theme: light" };
  const name = () => {
    const button = document.getElementById("theme");
    const text = named[document.documentElement.dataset.theme || ""];
    if (button && button.textContent !== text) button.textContent = text;
  };
  document.addEventListener("click", (event) => {
    if (!event.target.closest("#theme")) return;
    const next = themes[document.documentElement.dataset.theme || ""];
    if (next) document.documentElement.dataset.theme = next;
    else delete document.documentElement.dataset.theme;
    try { localStorage.setItem("theme", next); } catch { /* it is not remembered then */ }
    name();
  });

  const marked = (place, text, dress) => {
    place.append(...text.split(" ").map((word) => {
      const made = document.createElement("i");
      dress(made, word);
      return made;
    }));
    place.append(Object.assign(document.createElement("span"), { className: "unseen", textContent: text }));
  };
  const strip = (place, text) => marked(place, text, (made, word) => { made.title = made.dataset.state = word; });
  const bars = (place, text) => {
    const most = Math.max(...text.split(" ").map(Number)) || 1;
    marked(place, text, (made, word) => {
      made.title = Number(word).toLocaleString("en-US");
      made.style.height = Math.max(1, Math.round(20 * Number(word) / most)) + "px";
    });
  };
  const cell = (kind, [text, style, href]) => {
    const made = document.createElement(kind);
    if (style) made.className = style;
    const place = href ? made.appendChild(document.createElement("a")) : made;
    if (href) Object.assign(place, { href }).dataset.go = "here";
    if (style.includes("strip") && kind === "td") strip(place, text);
    else if (style.includes("bars") && kind === "td") bars(place, text);
    else place.textContent = text;
    return made;
  };
  const line = (kind, cells) => {
    const made = document.createElement("tr");
    made.append(...cells.map((one) => cell(kind, one)));
    return made;
  };
  const drawn = new WeakMap();
  const draw = (place) => {
    if (drawn.get(place) === place.dataset.table) return;
    drawn.set(place, place.dataset.table);
    const told = JSON.parse(place.dataset.table);
    const table = Object.assign(document.createElement("table"), { id: told.id });
    Object.assign(table.createCaption(), { className: "unseen", textContent: told.caption });
    table.createTHead().append(line("th", told.head));
    table.tHead.querySelectorAll("th").forEach((one) => { one.scope = "col"; });
    table.createTBody().append(...told.rows.map((row) => line("td", row)));
    place.replaceChildren(table);
  };

  const titled = () => {
    document.querySelectorAll("[data-table]").forEach(draw);
    name();
    const heading = document.querySelector("main h1");
    const title = heading && heading.textContent + " · leandata";
    if (title && document.title !== title) document.title = title;
  };
  new MutationObserver(titled).observe(document.body, {
    childList: true, subtree: true, attributes: true, attributeFilter: ["data-table"],
  });

  const offline = (text) => {
    const place = document.getElementById("offline");
    if (place) place.textContent = text;
  };
  const plain = window.fetch;
  window.fetch = async (...asked) => {
    try {
      const answer = await plain(...asked);
      if (answer.status === 401) location.assign("/login?next=" + encodeURIComponent(location.pathname + location.search));
      else offline("");
      return answer;
    } catch (error) {
      offline("The dashboards do not answer. What you see may be old; try again in a moment.");
      throw error;
    }
  };
})();
