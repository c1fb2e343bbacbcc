// Applies the chosen theme before the first paint, so it is loaded as a blocking script and is tiny.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be switched off; then the system's theme stays.
}
