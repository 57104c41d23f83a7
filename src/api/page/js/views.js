// views.js - the views of the page, in the order of the navigation. Each but the first is loaded when it is opened:
// js/views/ID.js exports `view` with mount(root, app), which may return what undoes it; css/views/ID.css goes with it. A
// view begins with an <h1>. What `app` has: main.js.

import { view as chat } from "./views/chat.js";

export const views = [
  { id: "chat", title: "Chat", icon: "chat", load: async () => ({ view: chat }) },
  { id: "network", title: "Network", icon: "network", load: () => import("./views/network.js") },
  { id: "networks", title: "Private networks", icon: "networks", load: () => import("./views/networks.js") },
  { id: "sharing", title: "Sharing", icon: "sharing", load: () => import("./views/sharing.js") },
  { id: "wallet", title: "Wallet", icon: "wallet", load: () => import("./views/wallet.js") },
  { id: "settings", title: "Settings", icon: "settings", load: () => import("./views/settings.js") },
  { id: "doctor", title: "Doctor", icon: "doctor", load: () => import("./views/doctor.js") },
];
