// Private networks by the page alone: made, invited to by a QR code, joined by paste, picture and camera, left.

import assert from "node:assert/strict";
import { generateKeyPairSync, sign } from "node:crypto";

const api = async (node, method, path, body) => {
  const answer = await fetch(node.url + path, { method, body: body === undefined ? undefined : JSON.stringify(body) });
  const value = await answer.json();
  assert.ok(answer.ok, JSON.stringify(value));
  return value;
};

/** Every network of these nodes is left. */
async function leaveAll(...nodes) {
  for (const node of nodes)
    for (const ptn of (await api(node, "GET", "/v1/app/ptn")).ptns) await api(node, "DELETE", `/v1/app/ptn/${ptn.ptn_id}?delete=true`);
}

const made = async (node, name) => (await api(node, "POST", "/v1/app/ptn", { name })).ptn_id;
const invite = async (node, net, body = {}) => (await api(node, "POST", `/v1/app/ptn/${net}/invites`, body)).invite;
const draw = (node, text) => api(node, "POST", "/v1/app/qr/draw", { text });

/** An invite that no program of ours made, of a stranger who calls the network so. Its JSON is canonical (RFC 8785). */
function forged(ptnName) {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const id = Buffer.from(publicKey.export({ format: "jwk" }).x, "base64url").toString("hex");
  const fields = { ptnID: id, ptnName, role: "consumer", inviterNodeID: id, nonce: "ab".repeat(16), expiresAt: 4102444800, relay: "" };
  const canonical = (object) => Buffer.from(JSON.stringify(object, Object.keys(object).sort()));
  const signature = sign(null, Buffer.concat([Buffer.from("teale/v1/invite\0"), canonical(fields)]), privateKey).toString("hex");
  return `teale:inv1:${canonical({ ...fields, signature }).toString("base64url")}`;
}

/** A PNG of the code, drawn by the browser itself. */
function png(v, code, pixels = 3) {
  return v.page.evaluate(async ([{ side, quiet, rows }, scale]) => {
    const all = (side + 2 * quiet) * scale;
    const canvas = new OffscreenCanvas(all, all);
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, all, all);
    context.fillStyle = "#000";
    rows.forEach((row, y) => [...row].forEach((c, x) => {
      if (c === "1") context.fillRect((x + quiet) * scale, (y + quiet) * scale, scale, scale);
    }));
    return [...new Uint8Array(await (await canvas.convertToBlob()).arrayBuffer())];
  }, [code, pixels]).then((bytes) => Buffer.from(bytes));
}

const members = (v) => v.page.getByRole("table", { name: "Members" });

const running = (v) => v.page.evaluate(() => {
  const video = document.querySelector("video");
  return Boolean(video && video.srcObject && video.srcObject.getTracks().some((track) => track.readyState === "live"));
});

export const scenes = [
  {
    name: "a network is made on one page, and joined on the other by its invite",
    async run(t) {
      const { server, asker } = t.world;
      await leaveAll(server, asker);
      const a = await t.open({ node: server, at: "#/networks" });
      await a.page.getByText("People you trust").waitFor();
      await a.accessible("no networks");
      await a.shot("networks-none-1440");
      await a.page.getByRole("button", { name: "Create" }).click();
      await a.page.getByLabel("Its name").fill("family");
      await a.page.keyboard.press("Enter");
      await a.page.getByRole("heading", { name: /family/ }).waitFor();
      await a.page.getByRole("button", { name: "Invite", exact: true }).click();
      await a.page.getByRole("radio", { name: /Provider/ }).check();
      await a.accessible("the form of an invite");
      await a.shot("invite-form-1440");
      await a.page.getByRole("button", { name: "Make the invite" }).click();
      await a.page.locator("svg.qr").waitFor();
      await a.accessible("an invite");
      await a.shot("invite-1440");
      const code = await a.page.getByRole("textbox", { name: "Code of the invite" }).inputValue();
      assert.match(code, /^teale:inv1:/);
      const b = await t.open({ node: asker, at: "#/networks", size: "narrow", dark: true });
      await b.shot("networks-none-360-dark");
      await b.page.getByRole("button", { name: "Join" }).click();
      await b.accessible("joining");
      await b.page.getByLabel("Invite", { exact: true }).fill(code);
      await b.page.getByText("You become").waitFor();
      await b.accessible("what an invite says");
      await b.shot("join-offer-360-dark");
      await b.page.getByLabel("Call it here").fill("their home");
      await b.page.locator("dialog").getByRole("button", { name: "Join" }).click();
      await b.page.getByRole("heading", { name: /their-home/ }).waitFor();
      await b.page.getByRole("row", { name: /this node/ }).waitFor();
      assert.equal(await b.page.locator(".detail-name .tag").innerText(), "Provider");
      await b.accessible("a member's network");
      await b.shot("network-member-360-dark");
      await a.page.getByRole("button", { name: "Done" }).click();
      await members(a).getByRole("row", { name: /Provider/ }).waitFor();
      await a.page.getByText("used by").waitFor();
      assert.equal(await a.page.locator(".detail-name .tag").innerText(), "Admin");
      await a.accessible("an admin's network");
      await a.shot("network-admin-1440");
    },
  },
  {
    name: "an admin renews, makes an admin of, and revokes a member, who is told what that means",
    async run(t) {
      const { server, asker } = t.world;
      const [ptn] = (await api(server, "GET", "/v1/app/ptn")).ptns;
      const a = await t.open({ node: server, at: `#/networks/${ptn.ptn_id}`, size: "middle" });
      const more = a.page.getByRole("button", { name: /^More about/ });
      const row = members(a).getByRole("row", { name: /Provider/ });
      await row.waitFor();
      await a.shot("network-admin-768");
      await row.getByRole("button").click();
      await a.accessible("a member");
      await a.shot("member-768");
      await a.page.getByRole("button", { name: "Renew" }).click();
      await a.page.getByText(/Renewed/).first().waitFor();
      await row.getByRole("button").click();
      await a.page.getByRole("button", { name: "Make admin" }).click();
      await t.until(async () => (await api(asker, "GET", "/v1/app/ptn")).ptns[0].role === "admin", "it never was an admin");
      await t.until(async () => await more.count() === 2 && await members(a).getByRole("cell", { name: "Admin", exact: true }).count() === 2);
      const other = members(a).locator("tbody tr").filter({ hasNotText: "this node" }).first();
      await other.getByRole("button").click();
      await a.page.getByRole("button", { name: "Revoke" }).click();
      await a.page.getByText("shut out for good").waitFor();
      await a.accessible("before a member is revoked");
      await a.shot("revoke-768");
      await a.page.locator("dialog").last().getByRole("button", { name: "Revoke", exact: true }).click();
      await t.until(async () => (await api(asker, "GET", "/v1/app/ptn")).ptns[0].state === "revoked", "it never heard of it");
      const b = await t.open({ node: asker, at: "#/networks", size: "narrow" });
      await b.page.getByText("Revoked").waitFor();
      await b.page.locator(".net-card").click();
      await b.page.getByText("This node was revoked").waitFor();
      await b.accessible("a network that shut this node out");
      await b.shot("network-revoked-360");
      await b.page.getByRole("button", { name: "Leave" }).click();
      await b.page.locator("dialog").getByRole("button", { name: "Leave" }).click();
      await b.page.getByText("People you trust").waitFor();
    },
  },
  {
    name: "price, name and key of a network are changed; the key is shown when it is asked for",
    async run(t) {
      const { server } = t.world;
      const [{ ptn_id: id }] = (await api(server, "GET", "/v1/app/ptn")).ptns;
      const a = await t.open({ node: server, at: `#/networks/${id}` });
      await a.page.getByRole("button", { name: "Price" }).click();
      await a.page.getByLabel("Credits for 1000 tokens").fill("0.0015");
      await a.page.keyboard.press("Enter");
      await a.page.getByText("0.0015 credits / 1000 tokens").waitFor();
      await a.page.getByRole("button", { name: "Rename" }).click();
      await a.page.getByLabel("Name on this machine").fill("den");
      await a.page.keyboard.press("Enter");
      await a.page.getByRole("heading", { name: /den/ }).waitFor();
      await a.page.getByRole("button", { name: "Show the key" }).click();
      const key = a.page.getByLabel("API key", { exact: true });
      assert.equal(await key.getAttribute("type"), "password");
      const before = await key.inputValue();
      assert.match(before, /^tl-/);
      assert.equal(before, (await t.world.command(server, "ptn", "key", "den")).trim());
      await a.accessible("the key of a network");
      await a.shot("network-key-1440");
      await a.page.getByRole("button", { name: "New key" }).click();
      await a.page.locator("dialog").getByRole("button", { name: "New key" }).click();
      await t.until(async () => await key.inputValue() !== before);
    },
  },
  {
    name: "a picture of an invite is read from a file and from the clipboard, and one of something else says what it is not",
    async run(t) {
      const { server, asker } = t.world;
      await leaveAll(asker);
      const net = await made(server, "pictures");
      const code = await invite(server, net);
      const v = await t.open({ node: asker, at: "#/networks/join", size: "middle", dark: true });
      const file = v.page.getByLabel("Picture of an invite");
      const give = (name, buffer, mimeType = "image/png") => file.setInputFiles({ name, mimeType, buffer });
      await v.page.getByRole("dialog").waitFor();
      await give("wifi.png", await png(v, await draw(asker, "WIFI:S:caf\u00e9 <b>\u202egnp;T:WPA;P:secret;;"), 6));
      await v.page.getByText("This QR code is no invite. It is the key of a Wi-Fi network:").waitFor();
      await v.page.getByText("caf\u00e9 <b>[U+202E]gnp").waitFor();
      await v.accessible("a code of something else");
      await v.shot("join-else-768-dark");
      await give("link.png", await png(v, await draw(asker, "javascript:alert(1)"), 6));
      await v.page.getByText("It is something else").waitFor();
      assert.equal(await v.page.locator(".join-said a").count(), 0);
      await give("photo.png", await png(v, { side: 40, quiet: 4, rows: Array(40).fill("0".repeat(40)) }));
      await v.page.getByText("No QR code is found").waitFor();
      await give("text.png", Buffer.from("no picture at all"));
      await v.page.getByText("no picture that the browser can read").waitFor();
      await give("invite.png", await png(v, await draw(asker, code)));
      await v.page.getByText("You become").waitFor();
      assert.equal(await v.page.getByLabel("Invite", { exact: true }).inputValue(), code);
      await v.page.getByLabel("Invite", { exact: true }).fill("https://example.org/invite");
      await v.page.getByText("This is no invite. It looks like an address on the web.").waitFor();
      await v.page.fill("#join-code", `teale:inv1:${"x".repeat(5000)}`);
      await v.page.getByText("This is no invite: it has 5011 characters, and an invite 2048 at most.").waitFor();
      await v.page.evaluate(async (bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
        document.activeElement.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
      }, [...await png(v, await draw(asker, code))]);
      await v.page.getByText("You become").waitFor();
      await v.page.evaluate(async (bytes) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], "dropped.png", { type: "image/png" }));
        document.querySelector(".join").dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
      }, [...await png(v, await draw(asker, "otpauth://totp/x"), 6)]);
      await v.page.getByText("a key for one-time passwords").waitFor();
    },
  },
  {
    name: "the camera reads an invite, says what another code is not, and is always switched off again",
    async run(t) {
      const { server, asker } = t.world;
      await leaveAll(asker);
      const net = await made(server, "camera");
      const v = await t.open({ node: asker, at: "#/networks", size: "narrow" });
      await v.context.grantPermissions(["camera"]);
      const on = async (code) => {
        t.camera(code);
        await v.page.getByRole("button", { name: "Scan with the camera" }).click();
        await t.until(() => running(v), "the camera never was on");
      };
      const off = () => t.until(async () => !await running(v), "the camera stays on");
      await v.page.getByRole("button", { name: "Join" }).click();
      await on(await draw(asker, "https://example.org/"));
      await v.page.getByText("It is an address on the web").waitFor();
      assert.ok(await running(v));
      await v.accessible("the camera");
      await v.shot("join-camera-360");
      await v.page.getByRole("button", { name: "Stop the camera" }).click();
      await off();
      await on(null);
      const stream = await v.page.evaluateHandle(() => document.querySelector("video").srcObject);
      await v.page.keyboard.press("Escape");
      await t.until(() => stream.evaluate((s) => s.getTracks().every((track) => track.readyState === "ended")), "the camera outlives its dialog");
      await v.page.getByRole("button", { name: "Join" }).click();
      await on(await draw(asker, await invite(server, net)));
      await v.page.getByText("You become").waitFor();
      await off();
      await v.page.locator("dialog").getByRole("button", { name: "Join" }).click();
      await v.page.getByRole("heading", { name: /camera/ }).waitFor();
    },
  },
  {
    name: "a camera that is refused is told, and a join that waits shows that it goes on",
    async run(t) {
      const { server, asker } = t.world;
      await leaveAll(asker);
      const away = await t.world.startNode("away", ["--relay", t.world.relay.url]);
      const net = await made(away, "far-away");
      const code = await invite(away, net);
      await away.end();
      const v = await t.open({ node: asker, at: "#/networks/join" });
      await v.page.getByRole("button", { name: "Scan with the camera" }).click();
      await v.page.getByText("does not let this page use the camera").waitFor();
      await v.page.getByLabel("Invite", { exact: true }).fill(code);
      await v.page.locator("dialog").getByRole("button", { name: "Join" }).click();
      await v.page.getByText(/Asking the inviter.* [2-9] s/).waitFor();
      await v.accessible("a join that waits");
      await v.shot("join-waits-1440");
      await v.page.keyboard.press("Escape");
      await v.page.getByText("Joining").waitFor();
      await v.shot("networks-joining-1440");
      await leaveAll(asker, server);
    },
  },
  {
    name: "an invite with a hostile name shows it as it is, on a narrow screen and by keyboard alone",
    async run(t) {
      const { asker } = t.world;
      await leaveAll(asker);
      await made(asker, "w".repeat(64));
      const v = await t.open({ node: asker, at: "#/networks", size: "narrow" });
      await v.page.locator(".net-card").waitFor();
      await v.accessible("a name of 64 letters");
      await v.page.getByRole("button", { name: "Join" }).focus();
      await v.page.keyboard.press("Enter");
      await v.page.keyboard.insertText(forged("<img src=x onerror=alert(1)>\u202edne \u05e9\u05dc\u05d5\u05dd"));
      await v.page.getByText("<img src=x onerror=alert(1)>[U+202E]dne").waitFor();
      assert.match(await v.page.getByLabel("Call it here").inputValue(), /^[A-Za-z0-9._-]+$/);
      assert.equal(await v.page.locator("dialog img").count(), 0);
      await v.accessible("a hostile name");
      await v.shot("join-hostile-360");
      await v.page.keyboard.press("Escape");
      await t.until(() => v.page.evaluate(() => document.activeElement.textContent === "Join"), "the focus did not come back");
      await v.page.locator(".net-card").focus();
      await v.page.keyboard.press("Enter");
      await v.page.getByText("For OpenAI clients").waitFor();
      await v.accessible("a network of a long name");
      await v.shot("network-long-360");
      await v.page.getByRole("button", { name: "Invite", exact: true }).focus();
      await v.page.keyboard.press("Enter");
      await v.page.getByRole("radio", { name: /Consumer/ }).focus();
      await v.page.keyboard.press("ArrowDown");
      await v.page.getByRole("button", { name: "Make the invite" }).focus();
      await v.page.keyboard.press("Enter");
      await v.page.locator("svg.qr").waitFor();
      await v.accessible("an invite on a narrow screen");
      await v.shot("invite-360");
      await v.page.goto("about:blank"); // the page does not ask for a network that is gone
      await leaveAll(asker);
    },
  },
];
