// doctor.js - what stands in this node's way, with the evidence and what helps. The last report stays while it looks
// again, and while another view is open.

import { settingLink, settingsIn } from "../ui/setting.js";

export const TITLES = {
  wan: "Wide network", relay: "Relay", second_relay: "Second relay", relay_udp: "Relay by UDP", portal: "Login of this network",
  udp: "UDP", udp_port: "UDP port", nat: "NAT", second_nat: "Second NAT", port_mapping: "Port mapping", direct: "Direct paths",
  clock: "Clock", dht: "DHT", introducers: "Introducers", relaying: "Relaying for others", backend: "Model server",
  models: "Models", share_with: "Who is served", ask: "Whom this node asks", networks: "Private networks",
  old_protocol: "Old protocol", store: "Database", backup: "Backup", api: "Local API", lan: "Local network",
  ipv6: "IPv6", proxy: "Proxy", mtu: "Size of packets",
};
const STATES = {
  problem: { words: "Problem", kind: "bad", icon: "warn" },
  warning: { words: "Warning", kind: "wait", icon: "info" },
  ok: { words: "Fine", kind: "ok", icon: "check" },
};
const ORDER = ["problem", "warning", "ok"];

let last = null; // {checks, at}

function stateOf(check) {
  return STATES[check.state] ? check.state : "problem";
}

/** As `teale doctor` prints it, to be pasted somewhere. */
export function report(checks, at, status) {
  const lines = sorted(checks).map((c) =>
    `${{ ok: "ok  ", warning: "warn", problem: "FAIL" }[stateOf(c)]}  ${String(c.id).padEnd(12)}  ${c.evidence}`
    + (c.remedy ? `\n${" ".repeat(20)}-> ${c.remedy}` : ""));
  const head = status ? `teale ${status.version}, ${at.toISOString()}` : at.toISOString();
  return [head, ...lines, ""].join("\n");
}

function sorted(checks) {
  return ORDER.flatMap((state) => checks.filter((c) => stateOf(c) === state));
}

/** "2 problems, 1 warning" or "No obstacle found". */
function summary(checks) {
  const n = (state) => checks.filter((c) => stateOf(c) === state).length;
  const words = (count, word) => count > 0 && `${count} ${word}${count === 1 ? "" : "s"}`;
  return [words(n("problem"), "problem"), words(n("warning"), "warning")].filter(Boolean).join(", ") || "No obstacle found";
}

/** The remedy, with a way to each setting that it tells to set. */
function remedy(ui, text) {
  const { el } = ui;
  return el("div.remedy", null, el("p", null, el("strong", null, "What helps: "), text), settingsIn(text).map((key) => settingLink(key)));
}

function card(ui, check) {
  const { el, icon } = ui;
  const state = STATES[stateOf(check)];
  return el("li.check", { class: state.kind },
    el("div.check-head", null, icon(state.icon), el("h2", null, TITLES[check.id] || ui.plain(String(check.id))),
      el("span.tag", { class: state.kind }, state.words)),
    el("p.evidence", { dir: "auto" }, check.evidence),
    check.remedy && remedy(ui, check.remedy));
}

export const view = {
  id: "doctor",
  title: "Doctor",
  icon: "doctor",
  mount(root, app) {
    const { el, fill, icon, problem, time } = app.ui;
    let gone = false;
    let ticking = 0;
    const words = el("p.grow", { role: "status" });
    const again = el("button.primary", { onclick: look }, icon("again"), "Run again");
    const copy = app.ui.copyButton(() => report(last.checks, last.at, app.state && app.state.status), "Copy the report");
    const list = el("ul.checks");
    root.append(el("div.doctor-head", null, el("h1", null, "Doctor"), el("div.row", null, words, copy, again)), list);

    function draw() {
      copy.hidden = !last;
      if (!last) return;
      fill(words, el("strong", null, summary(last.checks)), " ", el("span.muted", null, "as of ", time(last.at.toISOString())));
      fill(list, sorted(last.checks).map((c) => card(app.ui, c)));
    }

    /** A look at the network takes seconds: it says how many have passed. */
    function tick(begun) {
      const s = Math.round((performance.now() - begun) / 1000);
      words.textContent = `Looking at the network: servers are asked again${s > 1 ? `, ${s} s` : "…"}`;
      ticking = setTimeout(() => tick(begun), 1000);
    }

    async function look() {
      again.disabled = true;
      list.setAttribute("aria-busy", "true");
      tick(performance.now());
      try {
        const answer = await app.api.get("/v1/app/doctor");
        last = { checks: answer.checks, at: new Date() };
        clearTimeout(ticking);
        if (!gone) draw();
      } catch (e) {
        clearTimeout(ticking);
        if (gone) return;
        words.textContent = "";
        draw();
        list.prepend(el("li", null, problem(e, look)));
      }
      list.removeAttribute("aria-busy");
      again.disabled = false;
    }

    draw();
    look();
    return () => {
      gone = true;
      clearTimeout(ticking);
    };
  },
};
