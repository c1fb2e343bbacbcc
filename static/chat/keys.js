/** Which key presses mean what. */

/**
 * Enter sends; Shift+Enter breaks the line. The Enter that confirms a Japanese (or Chinese, Korean)
 * conversion does not send: Chrome and Firefox say isComposing, Safari says key code 229.
 */
export function isSend(event) {
  return (
    event.key === "Enter" &&
    !event.shiftKey &&
    !event.altKey &&
    !event.isComposing &&
    event.keyCode !== 229
  );
}
