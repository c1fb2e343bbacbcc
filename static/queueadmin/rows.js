// Tables whose rows are patched in place: a row that stays keeps its element, its focus and its place.

/** Bring `body` to show `ids` in this order. `make(id)` builds a row, `fill(row, id)` updates it. */
export function patch(body, ids, make, fill) {
  const shown = new Map([...body.children].map((row) => [row.dataset.id, row]));
  let next = body.firstElementChild;
  for (const id of ids) {
    const key = String(id);
    let row = shown.get(key);
    shown.delete(key);
    if (!row) {
      row = make(id);
      row.dataset.id = key;
    }
    fill(row, id);
    if (row === next) next = row.nextElementSibling;
    else body.insertBefore(row, next);
  }
  for (const row of shown.values()) remove(row);
}

// Focus that was in a row that goes would fall to the top of the page; its neighbour takes it.
function remove(row) {
  if (row.contains(document.activeElement)) {
    const neighbour = row.nextElementSibling ?? row.previousElementSibling;
    neighbour?.querySelector("button")?.focus();
  }
  row.remove();
}

/** An element with a class and, if given, text. */
export function element(name, className = "", text = "") {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** Write text only where it differs: what a screen reader or a selection holds stays. */
export function say(node, text) {
  if (node && node.textContent !== String(text)) node.textContent = text;
}
