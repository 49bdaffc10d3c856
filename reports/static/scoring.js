// Scores recomputed in the browser: pure functions over the payload of reports/what_if.py.
//
// The same sums as the Python package `scoring`, in the same order, so that equal scores are equal
// here too. Symbols: S submissions, W workloads (base first, then held-out variants), B base
// workloads, K studies. A miss is Infinity. Nothing here touches the page.
"use strict";

globalThis.PACEBENCH ??= { data: {} };

(() => {
  /**
   * Gives scores, ranks and profiles under other circumstances.
   *
   * `options` may hold: `excludedSubmissions` and `excludedWorkloads` (keys of the payload; a base
   * workload takes its held-out variants with it, a variant alone opens its gate), `method` (the
   * name of one of `payload.methods`), `unit` ("seconds" or "steps": what a target is charged in;
   * budgets stay those of the clock), `tauMax` (above 1; gates keep their own factor) and
   * `relaxTarget` (0 to `payload.relaxMax`: every target easier by that share of its size). What is
   * missing is as in the payload's own board.
   *
   * Gives `table` (best first: `rank`, which ties share, `name`, `key`, `score`, `nReached`,
   * `nWorkloads`, and `cells` by workload: `name`, `isBase`, `time`, `ratio` after the gates, and
   * `area`, null for a held-out variant), `profiles` (Map from key to `tau` and `rho`: from each tau
   * on the share is rho) and `steps` (Map from key to pairs of a tau and the names of the
   * workloads whose step is there). All are empty without a submission or without a base workload.
   * Throws RangeError for an option that is not allowed.
   */
  function score(payload, options = {}) {
    const asked = checked(payload, options);
    const field = fieldOf(payload, asked);
    if (field.submissions.length === 0 || field.nBase === 0) {
      return { table: [], profiles: new Map(), steps: new Map() };
    }
    const medians = medianTimes(payload, asked);
    const nW = payload.workloads.length;
    const times_SW = field.submissions.map((s) => field.workloads.map((w) => medians[s * nW + w]));
    const ratios_SW = gatedRatios(times_SW, field, asked.method, payload.nearBestFactor);
    const areas_SB = ratios_SW.map((row) =>
      row.slice(0, field.nBase).map((r) => area(r, asked.tauMax, asked.method.nGridPoints)),
    );
    return {
      table: tableOf(payload, field, { times_SW, ratios_SW, areas_SB }),
      ...profilesOf(payload, field, ratios_SW, asked.tauMax),
    };
  }

  function checked(payload, options) {
    const name = options.method ?? payload.method;
    const method = payload.methods.find((one) => one.name === name);
    if (method === undefined) {
      const known = payload.methods.map((one) => one.name).join(", ");
      throw new RangeError(`unknown method '${name}'; there are: ${known}`);
    }
    const unit = options.unit ?? payload.unit;
    if (unit !== "steps" && unit !== payload.unit) {
      throw new RangeError(`targets cannot be charged in '${unit}'; the runs hold ${payload.unit}`);
    }
    const tauMax = options.tauMax ?? payload.tauMax;
    if (!(tauMax > 1 && tauMax < Infinity)) {
      throw new RangeError(`tauMax is ${tauMax}; it must be above 1 and finite`);
    }
    const relaxTarget = options.relaxTarget ?? 0;
    if (!(relaxTarget >= 0 && relaxTarget <= payload.relaxMax)) {
      throw new RangeError(`relaxTarget is ${relaxTarget}; it must be 0 to ${payload.relaxMax}`);
    }
    return {
      method,
      tauMax,
      relaxTarget,
      late: new Set(method.isBudgetKept ? payload.evaluations.late : []),
      costs: unit === payload.unit ? payload.evaluations.time : payload.evaluations.step,
      excludedSubmissions: new Set(options.excludedSubmissions ?? []),
      excludedWorkloads: new Set(options.excludedWorkloads ?? []),
    };
  }

  /** Gives what is left: places of submissions and workloads, and for held-out ones their base. */
  function fieldOf(payload, asked) {
    const isIn = (w) => !asked.excludedWorkloads.has(payload.workloads[w].key);
    const all = payload.workloads.map((_, w) => w);
    const base = all.filter((w) => payload.workloads[w].base === null && isIn(w));
    const heldOut = all.filter((w) => base.includes(payload.workloads[w].base) && isIn(w));
    const submissions = payload.submissions
      .map((_, s) => s)
      .filter((s) => !asked.excludedSubmissions.has(payload.submissions[s].key));
    return {
      submissions,
      workloads: [...base, ...heldOut],
      nBase: base.length,
      gated: heldOut.map((w) => base.indexOf(payload.workloads[w].base)),
    };
  }

  /** Gives the median cost over the studies of every cell, S * W in one array. */
  function medianTimes(payload, asked) {
    const found = studyCosts(payload, asked);
    const n = asked.method.isMissingStudyMissed ? payload.planned : payload.evaluated;
    return n.map((nStudies, cell) => median(found.get(cell) ?? [], nStudies));
  }

  /** Gives by cell the costs of the studies that have a hit. */
  function studyCosts(payload, asked) {
    const { cell, study, n } = payload.trials;
    const goals = payload.workloads.map(({ sign, target }) =>
      sign * (target - sign * asked.relaxTarget * Math.abs(target)),
    );
    const found = new Map();
    let start = 0;
    let best = null; // of the study at hand: its cell, number, and what its trial is chosen by
    for (let t = 0; t < cell.length; t++) {
      const workload = cell[t] % payload.workloads.length;
      const sign = payload.workloads[workload].sign;
      const hit = firstHit(payload.evaluations, [start, start + n[t]], sign, goals[workload], asked);
      start += n[t];
      if (hit === -1) continue;
      const order = asked.method.isFewestEvaluationsFirst ? payload.evaluations.number[hit] : 0;
      const trial = { cell: cell[t], study: study[t], order, cost: asked.costs[hit] };
      if (best === null || best.cell !== trial.cell || best.study !== trial.study) {
        best = trial;
        if (!found.has(trial.cell)) found.set(trial.cell, []);
        found.get(trial.cell).push(trial.cost);
      } else if (trial.order < best.order || (trial.order === best.order && trial.cost < best.cost)) {
        best = trial;
        found.get(trial.cell)[found.get(trial.cell).length - 1] = trial.cost;
      }
    }
    return found;
  }

  /** Gives the place of a trial's first evaluation that counts and meets the goal, or -1. */
  function firstHit(evaluations, [start, end], sign, goal, asked) {
    for (let e = start; e < end; e++) {
      if (sign * evaluations.value[e] >= goal && !asked.late.has(e)) return e;
    }
    return -1;
  }

  /** Gives the median of n costs, of which those that are not given are Infinity; of none too. */
  function median(costs, n) {
    const ordered = Float64Array.from(costs).sort();
    const at = (i) => (i < ordered.length ? ordered[i] : Infinity);
    const [low, high] = [at((n - 1) >> 1), at(n >> 1)];
    if (n === 0) return Infinity;
    return low === high ? low : (low + high) / 2;
  }

  /** Gives ratios to the best after the gates; see scoring.profiles.gated_ratios. */
  function gatedRatios(times_SW, field, method, nearBestFactor) {
    const close = (values_SW, isFailed) => {
      for (const row of values_SW) {
        field.gated.forEach((base, i) => {
          if (isFailed(row[field.nBase + i])) row[base] = Infinity;
        });
      }
    };
    if (method.isBestBeforeGates) {
      const ratios_SW = ratiosOf(times_SW);
      close(ratios_SW, (ratio) => !(ratio <= nearBestFactor));
      return ratios_SW;
    }
    const left_SW = times_SW.map((row) => [...row]);
    for (const row of left_SW) {
      field.gated.forEach((base, i) => {
        if (row[base] === Infinity) row[field.nBase + i] = Infinity;
      });
    }
    const best_W = bestOf(left_SW);
    for (const row of left_SW) {
      row.forEach((time, w) => {
        if (time > nearBestFactor * best_W[w]) row[w] = Infinity;
      });
    }
    close(left_SW, (time) => time === Infinity);
    return ratiosOf(left_SW);
  }

  function bestOf(times_SW) {
    return times_SW[0].map((_, w) => Math.min(...times_SW.map((row) => row[w])));
  }

  function ratiosOf(times_SW) {
    const best_W = bestOf(times_SW);
    return times_SW.map((row) =>
      row.map((time, w) => {
        if (time === Infinity) return Infinity;
        return time === best_W[w] ? 1 : time / best_W[w];
      }),
    );
  }

  /** Gives what a workload adds to a score: the area in [0, 1] under its step up to tauMax. */
  function area(ratio, tauMax, nGridPoints) {
    if (nGridPoints === null) return Math.min(Math.max(tauMax - ratio, 0), tauMax - 1) / (tauMax - 1);
    const step = (tauMax - 1) / (nGridPoints - 1); // the trapezoid rule
    const tau = (i) => (i === nGridPoints - 1 ? tauMax : i * step + 1);
    let first = 0;
    while (first < nGridPoints && tau(first) < ratio) first++;
    const nAbove = nGridPoints - first;
    const ends = 0.5 * (nAbove > 0) + 0.5 * (nAbove === nGridPoints);
    return (nAbove - ends) / (nGridPoints - 1);
  }

  function tableOf(payload, field, { times_SW, ratios_SW, areas_SB }) {
    const scores = areas_SB.map((row) => {
      const ordered = Float64Array.from(row).sort(); // the sum does not depend on the order
      return ordered.reduce((sum, one) => sum + one) / row.length;
    });
    const rows = field.submissions.map((s, i) => ({
      rank: 1 + scores.filter((other) => other > scores[i]).length,
      name: payload.submissions[s].name,
      key: payload.submissions[s].key,
      score: scores[i],
      nReached: ratios_SW[i].slice(0, field.nBase).filter(Number.isFinite).length,
      nWorkloads: field.nBase,
      cells: field.workloads.map((w, j) => ({
        name: payload.workloads[w].name,
        isBase: j < field.nBase,
        time: times_SW[i][j],
        ratio: ratios_SW[i][j],
        area: j < field.nBase ? areas_SB[i][j] : null,
      })),
    }));
    return rows.sort((one, other) => one.rank - other.rank); // equals stay in the payload's order
  }

  function profilesOf(payload, field, ratios_SW, tauMax) {
    const profiles = new Map();
    const steps = new Map();
    field.submissions.forEach((s, i) => {
      const row = ratios_SW[i].slice(0, field.nBase);
      const tau = [...new Set([1, ...row.filter((r) => r <= tauMax)])].sort((a, b) => a - b);
      const rho = tau.map((t) => row.filter((r) => r <= t).length / field.nBase);
      const namesAt = (t) => field.workloads.slice(0, field.nBase).filter((_, b) => row[b] === t);
      const { key } = payload.submissions[s];
      profiles.set(key, { tau, rho });
      const named = tau.map((t) => [t, namesAt(t).map((w) => payload.workloads[w].name).join(", ")]);
      steps.set(key, named.filter(([, names]) => names !== ""));
    });
    return { profiles, steps };
  }

  PACEBENCH.score = score;
})();
