/**
 * What this tab keeps over a reload, for one person: somebody else who logs in here does not find it.
 * Where storage is switched off, nothing is kept, quietly.
 */

const owner = document.getElementById("frame")?.dataset.owner ?? "";

function name(key) {
  return `${owner} ${key}`;
}

export function load(key, otherwise) {
  try {
    const kept = sessionStorage.getItem(name(key));
    return kept === null ? otherwise : JSON.parse(kept);
  } catch {
    return otherwise;
  }
}

/** Keeps `value`; an empty text or list is forgotten. */
export function save(key, value) {
  try {
    if (value === "" || value.length === 0) sessionStorage.removeItem(name(key));
    else sessionStorage.setItem(name(key), JSON.stringify(value));
  } catch {
    // Full or switched off: the page works without it.
  }
}

export function forgetAll() {
  try {
    sessionStorage.clear();
  } catch {
    // Nothing was kept.
  }
}
