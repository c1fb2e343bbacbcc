// Words and numbers as the operator reads them. Sentences come from the page, never from here.

const said = document.getElementById("words").dataset;
const language = document.getElementById("board").dataset.language || undefined;
const whole = new Intl.NumberFormat(language);
const tenth = new Intl.NumberFormat(language, { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const clock = new Intl.DateTimeFormat(language, { timeStyle: "medium" });
const moment = new Intl.DateTimeFormat(language, { dateStyle: "medium", timeStyle: "medium" });

/** A sentence with its {places} filled in. */
export function words(name, values = {}) {
  return (said[name] ?? name).replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
}

export const number = (value) => whole.format(value);
export const speed = (value) => (value >= 100 || value === 0 ? whole.format(Math.round(value)) : tenth.format(value));
export const timeOfDay = (seconds) => clock.format(seconds * 1000);
export const exactly = (seconds) => moment.format(seconds * 1000);

/** How long, as people say it; seconds are told apart for as long as they matter. */
export function duration(seconds) {
  const n = Math.max(0, Math.floor(seconds));
  if (n < 90) return words("seconds", { n });
  if (n < 600) return words("minutesSeconds", { n: Math.floor(n / 60), s: n % 60 });
  if (n < 5400) return words("minutes", { n: Math.floor(n / 60) });
  if (n < 172800) return words("hours", { n: Math.floor(n / 3600), m: Math.floor((n % 3600) / 60) });
  return words("days", { n: Math.floor(n / 86400) });
}
