"use strict";
(() => {
  const data = JSON.parse(document.getElementById("report-data").textContent);
  const element = (id) => document.getElementById(id);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const print = window.matchMedia("print");

  // Charts name the colours of the palette in their tags, as in "line_color=blue".
  function paint() {
    const palette = data.palette[dark.matches && !print.matches ? "dark" : "light"];
    for (const chart of Bokeh.documents) {
      for (const model of chart.all_models) {
        for (const tag of model.tags) {
          const [property, colour] = String(tag).split("=");
          const old = model[property];
          const isSpec = old !== null && typeof old === "object" && "value" in old;
          model[property] = isSpec ? { value: palette[colour] } : palette[colour];
        }
      }
    }
  }

  function named(name) {
    return Bokeh.documents.map((chart) => chart.get_model_by_name(name)).find(Boolean);
  }

  // The counts of a split at one point of the curve, and what follows from them.
  function rates(counts, at, use) {
    const found = counts.true_positives[at];
    const falsely = counts.false_positives[at];
    const missed = counts.num_positive - found;
    const rejected = counts.num_negative - falsely;
    const recall = found / counts.num_positive;
    const falseRate = falsely / counts.num_negative;
    const share = use.share ?? counts.num_positive / (counts.num_positive + counts.num_negative);
    const hits = share * recall;
    const false_matches = (1 - share) * falseRate;
    const accepted = hits + false_matches;
    return {
      found, falsely, missed, rejected, recall,
      false_accept_rate: falseRate,
      accepted,
      precision: accepted > 0 ? hits / accepted : null,
      f1: (2 * hits) / (accepted + share),
      accuracy: hits + (1 - share) * (1 - falseRate),
      cost: 1000 * (false_matches * use.falseMatch + (share - hits) * use.missedMatch),
    };
  }

  function percent(value) {
    if (value === null) return "\u2013";
    const digits = value > 0 && value < 0.001 ? 3 : value < 0.01 || value > 0.99 ? 2 : 1;
    return `${(100 * value).toFixed(value === 0 || value === 1 ? 0 : digits)} %`;
  }

  const count = (value) => value.toLocaleString("en");

  const SHOWN = {
    precision: percent,
    recall: percent,
    f1: (value) => value.toFixed(4),
    accuracy: percent,
    false_accept_rate: percent,
    accepted: percent,
    cost: (value) => value.toLocaleString("en", { maximumFractionDigits: 1 }),
  };

  function amount(id, otherwise) {
    const value = element(id).valueAsNumber;
    return Number.isFinite(value) && value >= 0 ? value : otherwise;
  }

  function use() {
    const share = amount("share", null);
    return {
      share: share === null ? null : Math.min(share, 100) / 100,
      falseMatch: amount("cost-false", 1),
      missedMatch: amount("cost-missed", 1),
    };
  }

  function show() {
    const at = Number(element("threshold").value);
    const threshold = data.curve.threshold[at];
    const test = rates(data.curve.test, at, use());
    element("threshold-value").value = threshold.toFixed(4);
    element("threshold").setAttribute("aria-valuetext", threshold.toFixed(4));
    element("true_positives").value = count(test.found);
    element("false_negatives").value = count(test.missed);
    element("false_positives").value = count(test.falsely);
    element("true_negatives").value = count(test.rejected);
    for (const split of ["test", "validation"]) {
      const measured = rates(data.curve[split], at, use());
      for (const [name, text] of Object.entries(SHOWN)) {
        element(`${split}-${name}`).value = text(measured[name]);
      }
    }
    const line = named("threshold");
    if (line) line.location = threshold;
    const found = test.found + test.falsely;
    move("roc_point", test.false_accept_rate, test.recall);
    move("pr_point", test.recall, found > 0 ? test.found / found : 1);
  }

  function move(name, x, y) {
    const source = named(name);
    if (source) source.data = { x: [x], y: [y] };
  }

  function cheapest() {
    const costs = data.curve.threshold.map((_, at) => rates(data.curve.test, at, use()).cost);
    return costs.indexOf(Math.min(...costs));
  }

  function jump(at) {
    element("threshold").value = at;
    show();
  }

  async function draw() {
    const places = [...document.querySelectorAll("[data-chart]")];
    await Promise.all(
      places.map((place) => {
        const chart = data.charts[place.dataset.chart];
        return chart && Bokeh.embed.embed_item(chart, place);
      }),
    );
    paint();
    show();
    document.documentElement.dataset.ready = "yes";
  }

  for (const id of ["threshold", "cost-false", "cost-missed", "share"]) {
    element(id).addEventListener("input", show);
  }
  element("chosen").addEventListener("click", () => {
    jump(data.curve.threshold.indexOf(data.threshold));
  });
  element("cheapest").addEventListener("click", () => jump(cheapest()));
  show();
  for (const query of [dark, print]) query.addEventListener("change", paint);
  draw();
})();
