// chat.js - the chat.

export const view = {
  id: "chat",
  title: "Chat",
  icon: "chat",
  mount(root, app) {
    root.append(app.ui.el("h1", null, "Chat"), app.ui.el("p.empty", null, "Chat"));
    return () => {};
  },
};
