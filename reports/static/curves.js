"use strict";
// Learning curves on a workload's page. Their data is described in reports/curves.py.
(() => {
  const data = PACEBENCH.data.curves;
  const elements = document.querySelectorAll("[data-plot=curves]");
  if (!data || !elements.length) return;
  const names = PACEBENCH.data.board.submissions.map((one) => one.name);
  const hidden = new Set(); // the same for all plots of the page
  const redraws = [];

  function sums(differences, longest) {
    let total = 0;
    return differences.map((difference) => ((total += difference) * longest) / data.scale);
  }

  const curves = data.curves.map(([place, study, trial, isBest, hit, times, steps, values]) => ({
    place, study, trial, isBest: Boolean(isBest), hit, values,
    time: sums(times, data.longest.time), step: sums(steps, data.longest.step),
  }));
  const present = names.filter((_, place) => curves.some((curve) => curve.place === place));

  function traceOf(name, isBest, x) {
    const look = PACEBENCH.lookOf(name);
    const trace = {
      x: [], y: [], text: [], type: "scatter", mode: isBest ? "lines+markers" : "lines", name: PACEBENCH.plainName(name),
      visible: !hidden.has(name), opacity: isBest ? 1 : 0.3, connectgaps: false,
      line: { color: look.color, width: isBest ? 2.4 : 1, dash: isBest ? look.dash : "solid" },
      marker: { color: look.color, symbol: look.symbol, size: [], line: { width: 0 } },
      hovertemplate: "<b>%{fullData.name}</b><br>%{text}<br>%{y:.5~g} at %{x:,.4~s}<extra></extra>",
    };
    const place = names.indexOf(name);
    for (const curve of curves) {
      if (curve.place !== place || curve.isBest !== isBest) continue;
      const text = `study ${curve.study}, trial ${curve.trial}${isBest ? " (best)" : ""}`;
      trace.x.push(...curve[x], null); // null breaks the line before the next trial
      trace.y.push(...curve.values, null);
      trace.text.push(...curve.values.map((_, i) => (i === curve.hit ? `${text}: at the target` : text)), "");
      trace.marker.size.push(...curve.values.map((_, i) => (i === curve.hit ? 9 : 0)), 0);
    }
    return trace;
  }

  function layoutOf(x) {
    const title = x === "time" ? `submission time (${data.unit})` : "step";
    const layout = PACEBENCH.plotLayout(title, PACEBENCH.plainName(`validation ${data.metric}`));
    const ink = layout.font.color;
    const target = {
      type: "line", xref: "paper", x0: 0, x1: 1, y0: data.target, y1: data.target,
      line: { color: ink, width: 1.2, dash: "6px,4px" },
      label: { text: `target ${Number(data.target.toPrecision(4))}`, textposition: "end", font: { color: ink, size: 12 }, yanchor: "bottom" },
    };
    layout.shapes = [target];
    const [low, high] = data.range;
    layout.yaxis.range = data.isLog ? [Math.log10(low), Math.log10(high)] : [low, high];
    if (data.isLog) layout.yaxis.type = "log";
    let end = data.longest[x] * 1.03;
    if (x === "time" && data.budget <= 1.6 * data.longest.time) {
      end = Math.max(end, 1.03 * data.budget);
      layout.shapes.push({
        type: "line", yref: "paper", x0: data.budget, x1: data.budget, y0: 0, y1: 1,
        line: { color: ink, width: 1.2, dash: "2px,3px" },
        label: { text: "budget", textposition: "start", textangle: 0, xanchor: "right", font: { color: ink, size: 12 } },
      });
    }
    layout.xaxis.range = [0, end];
    return layout;
  }

  async function draw(element) {
    const x = element.dataset.x;
    const Plotly = await PACEBENCH.plotly();
    const redrawAll = () => Promise.all(redraws.map((redraw) => redraw()));
    const { area } = PACEBENCH.plotFrame(element, PACEBENCH.legend(present, hidden, redrawAll));
    const traces = [false, true].flatMap((isBest) => present.map((name) => traceOf(name, isBest, x)));
    await Plotly.react(area, traces, layoutOf(x), PACEBENCH.plotConfig);
  }

  for (const element of elements) {
    PACEBENCH.whenNear(element, () => {
      const redraw = () => draw(element);
      if (!element.dataset.isDrawn) redraws.push(redraw);
      element.dataset.isDrawn = "yes";
      return redraw();
    });
  }
})();
