// The chosen colours, before anything is drawn: a page that turns dark after it was light hurts the eyes.
(function () {
  "use strict";
  let theme = null;
  try {
    theme = localStorage.getItem("teale.theme");
  } catch (e) { /* a browser without storage follows the system */ }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
