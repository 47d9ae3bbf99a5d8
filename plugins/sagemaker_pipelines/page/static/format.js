// Numbers, times and amounts as texts.

/** Return seconds as a short text. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const whole = Math.round(seconds);
  if (whole < 60) return `${trim(seconds, seconds < 10 ? 1 : 0)} s`;
  return whole < 3600 ? parts(whole, "min", "s") : parts(Math.round(whole / 60), "h", "min");
}

function parts(total, large, small) {
  const rest = total % 60;
  return `${Math.floor(total / 60)} ${large}${rest ? ` ${rest} ${small}` : ""}`;
}

function trim(value, digits) {
  return String(Number(value.toFixed(digits)));
}

/** Return a number with six significant digits, as the logs do. */
export function number(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return value === null ? "–" : String(value);
  return Math.abs(value) >= 10000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(6)));
}

/** Return a time in the viewer's time zone, to the minute. */
export function dateTime(iso) {
  if (!iso) return "–";
  const date = new Date(iso);
  return new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" }).format(date);
}

/** Return a day, as Airflow counts data intervals: in UTC. */
export function day(iso) {
  return new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: "UTC" }).format(new Date(iso));
}

/** Return a data interval: one day as its date, others with both ends, in UTC. */
export function interval(run) {
  const [start, end] = [run.data_interval_start, run.data_interval_end];
  if (!start || start === end) return run.logical_date ? minute(run.logical_date) : "–";
  const midnight = (iso) => iso.slice(11, 19) === "00:00:00";
  if (midnight(start) && midnight(end) && new Date(end) - new Date(start) === 86400000) return start.slice(0, 10);
  return `${minute(start)} – ${minute(end)}`;
}

function minute(iso) {
  return new Date(iso).toISOString().slice(0, 16).replace("T", " ");
}

/** Return an amount of money with its currency, if that is known. */
export function money(value, currency) {
  if (value === 0) return "0";
  const amount = value < 0.1 ? value.toPrecision(2) : value.toFixed(2);
  return currency ? `${currency} ${amount}` : amount;
}

/** Return what an execution or a step bills: money where its price is known, else instance-seconds. */
export function billed(record) {
  if (!record || Object.keys(record).length === 0) return "–";
  const { cost, instance_seconds: seconds, currency } = record;
  const least = record.at_least ? "≥ " : "";
  if (typeof cost === "number") return least + range(cost, record.cost_upper_bound, (value) => money(value, currency));
  if (typeof seconds !== "number") return "unknown";
  const whole = (value) => number(Math.round(value));
  return `${least}${range(seconds, record.instance_seconds_upper_bound, whole)} instance-s`;
}

// SageMaker no longer names the jobs before a resume, so that what they billed has an upper bound only.
function range(low, high, format) {
  const [least, most] = [format(low), format(high ?? low)];
  return least === most ? least : `${least} to ${most}`;
}

/** Return what a step bills. */
export function billedStep({ bill }) {
  const earlier = bill.earlier_instance_seconds ?? 0;
  const dear = (earlier / 3600) * (bill.price_per_hour ?? 0);
  const bounds = { instance_seconds_upper_bound: bill.instance_seconds + earlier, cost_upper_bound: bill.cost + dear };
  return billed({ ...bill, ...bounds });
}

/** Return a text of at most so many characters, with its end, in which paths and URIs differ. */
export function tail(text, length) {
  return text.length > length ? `…${text.slice(1 - length)}` : text;
}

/** Return a text of at most so many characters. */
export function cut(text, length) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
