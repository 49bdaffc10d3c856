"use strict";
// What all interactive plots share, and the performance profiles. Plotly is loaded when a plot is near.
globalThis.PACEBENCH ??= { data: {} };
(() => {
  const DASHES = ["solid", "10px,3px", "2.5px,2.5px", "13px,3px,2.5px,3px", "6px,2.5px,2.5px,2.5px,2.5px,2.5px"];
  const MARKERS = ["circle", "square", "diamond", "triangle-up", "triangle-down", "cross", "x"];
  const N_POINTS = 120; // of a profile's line, so that it can be pointed at anywhere
  const CONFIG = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: "reset" };
  const hiddenIn = new WeakMap(); // plot element -> set of the names hidden there
  let loading = null;

  PACEBENCH.plotly = () => {
    loading ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = `${document.body.dataset.static}plotly.min.js`;
      script.onload = () => resolve(globalThis.Plotly);
      script.onerror = () => reject(new Error(`${script.src} is missing from this website`));
      document.head.append(script);
    });
    return loading;
  };

  const cssColor = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // Give a submission's look as Plotly wants it; one that is not on the board gets the first look.
  PACEBENCH.lookOf = (name) => {
    const found = PACEBENCH.data.board.submissions.find((one) => one.name === name);
    const { color, dash, marker } = found ?? { color: 0, dash: 0, marker: 0 };
    return { color: cssColor(`--series-${color}`), dash: DASHES[dash], symbol: MARKERS[marker], places: { color, dash } };
  };

  // A name fit for a label: one line, not too long, and nothing in it that Plotly takes for markup.
  PACEBENCH.plainName = (name) => {
    const one = name.replace(/\s+/g, " ");
    const cut = [...one.slice(0, 41)];
    const text = one.length > 40 ? `${cut.slice(0, 39).join("")}…` : one;
    return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  };

  PACEBENCH.plotLayout = (xTitle, yTitle) => {
    const [ink, muted, grid, panel] = ["--ink", "--muted", "--grid", "--panel"].map(cssColor);
    const axis = (title) => ({
      title: { text: title, font: { size: 13, color: ink }, standoff: 12 },
      gridcolor: grid, linecolor: grid, zeroline: false, tickfont: { size: 12, color: muted }, automargin: true,
    });
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false,
      margin: { l: 56, r: 14, t: 12, b: 48 }, hovermode: "closest", hoverdistance: 24,
      dragmode: matchMedia("(pointer: fine)").matches ? "zoom" : false,
      font: { family: getComputedStyle(document.body).fontFamily, size: 13, color: ink },
      hoverlabel: { bgcolor: panel, bordercolor: muted, font: { color: ink, size: 13 }, align: "left" },
      xaxis: axis(xTitle), yaxis: axis(yTitle),
    };
  };

  function keyOf(look) {
    const SVG = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(SVG, "svg");
    const line = document.createElementNS(SVG, "line");
    svg.setAttribute("viewBox", "0 0 26 12");
    svg.setAttribute("class", "key");
    svg.setAttribute("aria-hidden", "true");
    for (const [name, value] of Object.entries({ x1: 1, y1: 6, x2: 25, y2: 6 })) line.setAttribute(name, value);
    line.setAttribute("class", `s${look.places.color} d${look.places.dash}`);
    svg.append(line);
    return svg;
  }

  // Put a legend of buttons that hide and show; `onChange` is called with the set of hidden names.
  PACEBENCH.legend = (names, hidden, onChange, onDetails) => {
    const list = document.createElement("ul");
    list.className = "legend";
    for (const name of names) {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", String(!hidden.has(name)));
      button.title = "show or hide";
      const text = document.createElement("span");
      text.textContent = name.length > 40 ? `${name.slice(0, 39)}…` : name;
      button.append(keyOf(PACEBENCH.lookOf(name)), text);
      button.addEventListener("click", () => {
        if (!hidden.delete(name)) hidden.add(name);
        button.setAttribute("aria-pressed", String(!hidden.has(name)));
        onChange(hidden);
      });
      item.append(button);
      if (onDetails) {
        const details = document.createElement("button");
        details.type = "button";
        details.className = "why";
        details.textContent = "steps";
        details.setAttribute("aria-label", `steps of ${text.textContent}`);
        details.addEventListener("click", () => onDetails(name));
        item.append(details);
      }
      list.append(item);
    }
    return list;
  };

  // Make `element` hold a drawing area, a place for details, and a legend; gives the first two.
  PACEBENCH.plotFrame = (element, legend) => {
    let area = element.querySelector(":scope > .area");
    let details = element.querySelector(":scope > .details");
    if (!area) {
      const alt = element.querySelector("img")?.alt ?? "";
      area = document.createElement("div");
      area.className = "area";
      area.setAttribute("role", "img");
      area.setAttribute("aria-label", alt);
      details = document.createElement("div");
      details.className = "details";
      details.setAttribute("role", "status");
      element.replaceChildren(area, details);
    }
    element.querySelector(":scope > .legend")?.remove();
    details.before(legend);
    return { area, details };
  };

  PACEBENCH.hiddenNames = (element) => {
    if (!hiddenIn.has(element)) hiddenIn.set(element, new Set());
    return hiddenIn.get(element);
  };

  function profileTrace(name, { tau, rho }, tauMax, width) {
    const look = PACEBENCH.lookOf(name);
    const grid = Array.from({ length: N_POINTS }, (_, i) => 1 + ((tauMax - 1) * i) / (N_POINTS - 1));
    const xs = [...new Set([...tau, ...grid])].filter((x) => x <= tauMax).sort((a, b) => a - b);
    const ys = xs.map((x) => rho[tau.findLastIndex((t) => t <= x)] ?? 0);
    return {
      x: xs, y: ys, type: "scatter", mode: "lines", name: PACEBENCH.plainName(name), meta: name,
      line: { shape: "hv", color: look.color, dash: look.dash, width },
      hovertemplate: "<b>%{fullData.name}</b><br>%{y:.1%} of the workloads<br>within %{x:.2f} × the best time<extra></extra>",
    };
  }

  function showSteps(details, name, steps) {
    const title = document.createElement("p");
    const strong = document.createElement("strong");
    strong.textContent = name.length > 80 ? `${name.slice(0, 79)}…` : name;
    title.append(strong, steps.length ? " rises at" : " reaches no workload in this range.");
    const list = document.createElement("ul");
    list.className = "point";
    for (const [tau, text] of steps) {
      const item = document.createElement("li");
      const factor = document.createElement("span");
      factor.textContent = `τ ${tau.toFixed(2)}`;
      item.append(factor, ` ${text}`);
      list.append(item);
    }
    details.replaceChildren(title, list);
  }

  function defaultSteps() {
    const shown = PACEBENCH.data.profiles?.profiles ?? [];
    return new Map(
      shown.map((one) => [one.name, one.tau.map((tau, i) => [tau, one.workloads[i].join(", ")]).filter(([, text]) => text)]),
    );
  }

  // Draw profiles ({tau, rho} by submission, a Map or an object); options: tauMax, and steps as a
  // Map from submission to [[tau, "workload, workload"], …] for the details of a click.
  PACEBENCH.drawProfiles = async (element, profile, options = {}) => {
    const profiles = profile instanceof Map ? profile : new Map(Object.entries(profile));
    const tauMax = options.tauMax ?? PACEBENCH.data.board.tauMax;
    const steps = options.steps ?? defaultSteps();
    const hidden = PACEBENCH.hiddenNames(element);
    const names = [...profiles.keys()];
    element.PACEBENCH_redraw = () => PACEBENCH.drawProfiles(element, profiles, options);
    const Plotly = await PACEBENCH.plotly();
    const onDetails = (name) => showSteps(details, name, steps.get(name) ?? []);
    const draw = () => {
      const traces = names.map((name, i) => ({
        ...profileTrace(name, profiles.get(name), tauMax, 2 + (1.6 * (names.length - 1 - i)) / names.length),
        visible: !hidden.has(name),
      }));
      const layout = PACEBENCH.plotLayout("within a factor τ of the best time", "share of workloads");
      layout.xaxis.range = [1, tauMax];
      layout.yaxis.range = [0, 1.02];
      layout.yaxis.tickformat = ".0%";
      return Plotly.react(area, traces.reverse(), layout, CONFIG);
    };
    const { area, details } = PACEBENCH.plotFrame(element, PACEBENCH.legend(names, hidden, draw, onDetails));
    details.replaceChildren();
    await draw();
    area.removeAllListeners?.("plotly_click");
    area.on("plotly_click", (event) => onDetails(event.points[0].data.meta));
  };

  // Call `draw` once the element is near what the reader sees, and again when the theme changes.
  PACEBENCH.whenNear = (element, draw) => {
    const start = () => {
      const observer = new IntersectionObserver((entries) => {
        if (!entries.some((entry) => entry.isIntersecting)) return;
        observer.disconnect();
        element.PACEBENCH_redraw ??= draw;
        element.PACEBENCH_redraw();
        document.addEventListener("pacebench-theme", () => element.PACEBENCH_redraw());
      }, { rootMargin: "500px" });
      observer.observe(element);
    };
    if (document.readyState === "complete") setTimeout(start);
    else addEventListener("load", () => setTimeout(start));
  };

  PACEBENCH.plotConfig = CONFIG;
  const element = document.querySelector("[data-plot=profiles]");
  if (element) {
    const shown = PACEBENCH.data.profiles;
    const profiles = new Map(shown.profiles.map((one) => [one.name, one]));
    PACEBENCH.whenNear(element, () => PACEBENCH.drawProfiles(element, profiles, { tauMax: shown.tauMax }));
  }
})();
