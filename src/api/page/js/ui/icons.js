// icons.js - the page's signs, drawn on 24 by 24 as lines.

const PATHS = {
  chat: "M4 5.5h16v11H10l-4.5 3.5v-3.5H4z",
  network: "M12 7v4M12 11 6 16M12 11l6 5M12 3.5a1.75 1.75 0 1 0 0 3.5 1.75 1.75 0 0 0 0-3.5zM5.5 16a1.75 1.75 0 1 0 0 3.5 1.75 1.75 0 0 0 0-3.5zM18.5 16a1.75 1.75 0 1 0 0 3.5 1.75 1.75 0 0 0 0-3.5z",
  networks: "M9 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM3.5 19c0-3 2.5-5 5.5-5s5.5 2 5.5 5M15.5 5.5a2.7 2.7 0 0 1 0 5.2M17 14.3c2.1.6 3.5 2.3 3.5 4.7",
  sharing: "M12 15V4M8 7.5 12 3.5l4 4M5 12v7.5h14V12",
  wallet: "M4 7.5h14.5a1.5 1.5 0 0 1 1.5 1.5v9a1.5 1.5 0 0 1-1.5 1.5h-13A1.5 1.5 0 0 1 4 18zM4 7.5V6A1.5 1.5 0 0 1 5.5 4.5H17v3M16 13.5h.01",
  settings: "M4 7h9M17 7h3M4 17h3M11 17h9M15 5a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM9 15a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  doctor: "M3.5 12.5h4l2-5 4 10 2.5-6 1 1h3.5",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6 6 18",
  menu: "M4 7h16M4 12h16M4 17h16",
  list: "M8 6h12M8 12h12M8 18h12M4 6h.01M4 12h.01M4 18h.01",
  copy: "M9 9h10v11H9zM15 9V4H5v11h4",
  check: "M5 12.5l4.5 4.5L19 7.5",
  stop: "M7 7h10v10H7z",
  send: "M12 19V5M6 11l6-6 6 6",
  again: "M19 8a7.5 7.5 0 1 0 .5 6M19.5 4v4.5H15",
  edit: "M4.5 19.5l1-4L16 5l3 3L8.5 18.5z",
  trash: "M5 7h14M10 7V4.5h4V7M7 7l1 12.5h8L17 7",
  download: "M12 4v11M8 11.5l4 4 4-4M5 19.5h14",
  attach: "M18.5 11.5l-7 7a4.2 4.2 0 0 1-6-6l7.5-7.5a2.8 2.8 0 0 1 4 4L9.8 16.2a1.4 1.4 0 0 1-2-2l6.4-6.4",
  file: "M6 3.5h8l4 4v13H6zM14 3.5v4h4",
  image: "M4 5h16v14H4zM4 16l4.5-4.5L13 16l2.5-2.5L20 18M15.5 9h.01",
  light: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 3v2M12 19v2M3 12h2M19 12h2M5.6 5.6 7 7M17 17l1.4 1.4M5.6 18.4 7 17M17 7l1.4-1.4",
  dark: "M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z",
  auto: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  search: "M11 5a6 6 0 1 0 0 12 6 6 0 0 0 0-12zM15.5 15.5 20 20",
  warn: "M12 4 2.8 19.5h18.4zM12 10v4.5M12 17h.01",
  info: "M12 4a8 8 0 1 0 0 16 8 8 0 0 0 0-16zM12 11v5M12 8h.01",
  key: "M8 11a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM11 12.5 20 3.5M16.5 7l2.5 2.5M14 9.5l1.5 1.5",
  down: "M6 9.5l6 6 6-6",
  right: "M9.5 6l6 6-6 6",
  left: "M14.5 6l-6 6 6 6",
  more: "M5 12h.01M12 12h.01M19 12h.01",
  pause: "M8.5 6v12M15.5 6v12",
  play: "M8 5.5v13l10-6.5z",
  qr: "M4 4h6v6H4zM14 4h6v6h-6zM4 14h6v6H4zM14 14h2.5v2.5H14zM17.5 17.5H20V20M20 14h.01M14 20h.01",
  camera: "M4 7.5h3.5L9 5h6l1.5 2.5H20V19H4zM12 10a3.2 3.2 0 1 0 0 6.4 3.2 3.2 0 0 0 0-6.4z",
};
const SVG = "http://www.w3.org/2000/svg";

/** An <svg> that screen readers pass over; the button around it has the words. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", PATHS[name] || PATHS.info);
  svg.append(path);
  return svg;
}
