// Curves as the part `curves` sends them: "RCV1", the length of a header, the header as JSON, arrays of f32.

const ARRAYS = {
  run: ["n", "mean", "min", "max", "last", "smooth"],
  ghost: ["n", "mean", "min", "max", "last", "smooth"],
  group: ["n", "mean", "low", "high", "std"],
};

/**
 * Read an answer of the part `curves`. Returns its header with `xs`, the middle of each bucket (Float64Array[N]), and with arrays by name
 * (Float32Array[N], NaN where a bucket is empty) in `data` of each of its `series`.
 */
export function parseCurves(buffer) {
  const view = new DataView(buffer);
  const magic = buffer.byteLength < 8 ? "" : String.fromCharCode(...new Uint8Array(buffer, 0, 4));
  if (magic !== "RCV1") throw new Error("the answer holds no curves");
  const length = view.getUint32(4, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 8, length)));
  const count = header.buckets;
  const series = header.series.map((item) => {
    const arrays = ARRAYS[item.kind].map((name, index) => [
      name,
      new Float32Array(buffer, 8 + length + item.offset + 4 * count * index, count),
    ]);
    return { ...item, data: Object.fromEntries(arrays) };
  });
  return { ...header, series, xs: middles(header, count) };
}

/** The middle of each bucket; where all points of a bucket are at one place, that place. */
function middles({ from, to, places }, count) {
  const width = (to - from) / count;
  return Float64Array.from({ length: count }, (_, index) => places?.[index] ?? from + (index + 0.5) * width);
}

/**
 * Smooth a thinned curve: the debiased exponential average over all points, as far as count and mean of each bucket tell it. A bucket of n
 * points weighs as n steps of the average do: what was before it keeps the weight alpha ** n.
 */
export function smoothBuckets(n, mean, alpha) {
  const smooth = new Float32Array(mean.length);
  let sum = 0;
  let weight = 0;
  for (let index = 0; index < mean.length; index++) {
    if (n[index] > 0 && !Number.isNaN(mean[index])) {
      const kept = alpha ** n[index];
      sum = kept * sum + (1 - kept) * mean[index];
      weight = kept * weight + (1 - kept);
      smooth[index] = sum / weight;
    } else smooth[index] = NaN;
  }
  return smooth;
}

/** How many points lie in a bucket of these curves at most: smoothing over fewer says nothing between buckets. */
export function densest(curves) {
  let most = 0;
  for (const { kind, data } of curves.series) if (kind === "run") for (const count of data.n) if (count > most) most = count;
  return most;
}

/**
 * Smooth thinned curves here, for a file without a server, and until a server's answer is there: the runs by smoothBuckets(), then mean,
 * lowest, highest and standard deviation of each group over its members. Groups whose members are not in the answer stay as they are.
 */
export function smoothHere(curves, alpha) {
  const runs = new Map();
  const series = curves.series.map((item) => {
    if (item.kind !== "run") return item;
    const smooth = alpha > 0 ? smoothBuckets(item.data.n, item.data.mean, alpha) : item.data.last;
    const smoothed = { ...item, data: { ...item.data, smooth } };
    runs.set(item.id, smoothed);
    return smoothed;
  });
  const members = (group) => [...runs.values()].filter(({ trial }) => trial === group.trial);
  return {
    ...curves,
    smoothing: alpha,
    series: series.map((item) =>
      item.kind === "group" && alpha > 0 && members(item).length === item.members ? { ...item, data: fold(members(item)) } : item,
    ),
  };
}

function fold(members) {
  const lines = members.map(({ data }) => bridged(data.smooth));
  const count = lines[0].length;
  const [n, mean, low, high, std] = Array.from({ length: 5 }, () => new Float32Array(count).fill(NaN));
  for (let index = 0; index < count; index++) {
    if (members.every(({ data }) => Number.isNaN(data.smooth[index]))) continue;
    const values = lines.map((line) => line[index]).filter((value) => !Number.isNaN(value));
    n[index] = values.length;
    mean[index] = values.reduce((sum, value) => sum + value, 0) / values.length;
    low[index] = Math.min(...values);
    high[index] = Math.max(...values);
    if (values.length > 1) std[index] = Math.sqrt(values.reduce((sum, value) => sum + (value - mean[index]) ** 2, 0) / (values.length - 1));
  }
  return { n, mean, low, high, std };
}

/** Values with straight lines across empty buckets, as the server has them where it takes the mean over members. */
function bridged(values) {
  const whole = Float32Array.from(values);
  let last = -1;
  values.forEach((value, index) => {
    if (Number.isNaN(value)) return;
    for (let between = last + 1; last >= 0 && between < index; between++)
      whole[between] = values[last] + ((value - values[last]) * (between - last)) / (index - last);
    last = index;
  });
  return whole;
}

/** Curves on one grid: every x of any of them, with NaN where a curve has no bucket. */
export function alignGrids(answers) {
  const [first] = answers;
  const same = ({ from, to, buckets }) => from === first.from && to === first.to && buckets === first.buckets;
  if (answers.every(same)) return answers;
  const xs = Float64Array.from(new Set(answers.flatMap((answer) => [...answer.xs]))).sort();
  return answers.map((answer) => {
    const places = Int32Array.from(answer.xs, (x) => xs.indexOf(x));
    const spread = (values) => {
      const wide = new Float32Array(xs.length).fill(NaN);
      values.forEach((value, index) => (wide[places[index]] = value));
      return wide;
    };
    const series = answer.series.map((item) => ({
      ...item,
      data: Object.fromEntries(Object.entries(item.data).map(([name, values]) => [name, spread(values)])),
    }));
    return { ...answer, xs, series };
  });
}
