/** The page's words, written by the server in the reader's language, and the icons beside them. */

export const words = document.getElementById("words")?.dataset ?? {};

/** Puts values into a sentence: fill("in {n} s", {n: 3}). */
export function fill(sentence, values) {
  return sentence.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

const ordinals = new Intl.PluralRules(document.documentElement.lang || "en", { type: "ordinal" });

/** A place in line as a short word: 2nd. */
export function place(n) {
  const forms = { one: words.placeOne, two: words.placeTwo, few: words.placeFew };
  return fill(forms[ordinals.select(n)] ?? words.placeOther, { n });
}
