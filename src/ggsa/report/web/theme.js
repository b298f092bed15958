// In the head, so that a page once made dark does not open with a flash of light.
try {
  const theme = localStorage.getItem("ggsa-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Nothing is stored: the reader’s system decides.
}
