// The choice of the theme: light, dark, or as the system has it. The server reads it from a cookie.
"use strict";

on("click", "[data-theme-to]", (button) => {
  const theme = button.dataset.themeTo;
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  // Over https cookies are for this host alone, which their name says.
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""];
  const attributes = `;path=/;max-age=31536000;samesite=lax${secure}`;
  document.cookie = `${prefix}innkeeper_theme=${theme}${attributes}`;
});
