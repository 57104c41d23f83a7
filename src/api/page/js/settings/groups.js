// groups.js - where each setting stands in the view Settings, what it is called there, and which changes want a word
// of warning first. A setting that is not named here stands under "More" by its own name, so none is ever missing.

export const groups = [
  { id: "general", title: "General", settings: {
    display_name: "Name of this node",
    key_store: "Place of a new key",
    log_level: "What is logged",
  } },
  { id: "networking", title: "Networking", settings: {
    wan_enabled: "Enable WAN",
    lan_enabled: "Enable LAN",
    wan_relay_url: "Relay",
    wan_proxy: "Proxy before the relay",
    wan_relay_ca_file: "Certificates for the relay",
    wan_allow_insecure_relay: "Allow a relay without TLS",
    "nat.direct": "Direct connections",
    "nat.port_mapping": "Port mapping at the router",
    "nat.stun_servers": "STUN servers",
    udp_port: "UDP port",
    timeout_connect_secs: "Time to connect to a peer",
  } },
  { id: "finding", title: "Finding peers", settings: {
    "dht.enabled": "Use the DHT",
    "dht.publish": "Publish this node there",
    "dht.serve": "Answer the DHT's questions",
    "dht.bootstrap": "Entrances to the DHT",
    "dht.republish_secs": "Publish again after",
    "nat.introduce": "Introduce others",
    "nat.introducers": "Introducers of this node",
  } },
  { id: "sharing", title: "Sharing", settings: {
    share: "Model server",
    share_models: "Models to share",
    share_with: "Who may ask this node",
    share_pause: "Pause",
    backend_key_file: "Key of the model server",
    share_slots: "Answers at once",
    share_queue_max: "Places in the queue",
    share_queue_wait_secs: "Longest wait in the queue",
    requests_max: "Requests at once",
    timeout_first_byte_secs: "Time to begin an answer",
    timeout_silence_secs: "Silence inside an answer",
  } },
  { id: "asking", title: "Asking", settings: {
    ask: "Whom this node asks",
    "price.max_micro": "Highest price",
    legacy_plaintext: "Old protocol, in clear",
  } },
  { id: "networks", title: "Private networks", settings: {
    "ptn.hide": "Hide networks from the relay",
    "ptn.revocation_max_age_hours": "Oldest list of revoked nodes",
  } },
  { id: "money", title: "Prices and credit", settings: {
    "price.floor_micro": "Lowest price",
    "price.kwh_micro": "Price of a kilowatt-hour",
    "price.watts": "Power while answering",
    "credit.stranger_micro": "Credit of strangers",
    "credit.member_micro": "Credit of members",
  } },
  { id: "relaying", title: "Relaying for others", settings: {
    "nat.relay_enabled": "Relay for others",
    "nat.relay_for": "For whom",
    "nat.relay_max_sessions": "Sessions at once",
    "nat.relay_reciprocal_kbps": "Rate for nodes that help",
    "nat.relay_bootstrap_kbps": "Rate for others",
    "nat.relay_idle_timeout_secs": "End of an idle session",
    "nat.relay_session_max_secs": "Longest session",
    "nat.relay_session_warn_secs": "Warning before its end",
    "nat.relay_pause_secs": "Pause after it",
    "nat.relay_burst_ms": "Burst",
  } },
  { id: "backups", title: "Backups", settings: {
    store_quota: "Room for backups of others",
    "backup.challenge_secs": "Time between proofs",
    "backup.gone_secs": "Absence that is borne",
  } },
  { id: "api", title: "Local API", settings: {
    api_listen: "Listening address",
    api_allowed_hosts: "Allowed hosts",
    api_allowed_origins: "Allowed origins",
    timeout_request_head_secs: "Time for a request's head",
    timeout_body_idle_secs: "Pause inside a request's body",
    timeout_stalled_client_secs: "Time without reading",
  } },
];

const MORE = { id: "more", title: "More", settings: {} };

/** The group of a setting, and its title there. */
export function placeOf(key) {
  const group = groups.find((g) => Object.hasOwn(g.settings, key)) || MORE;
  return { group, title: group.settings[key] || key };
}

/** The settings in their groups and order; groups without any are left out. */
export function grouped(settings) {
  const known = new Map(settings.map((s) => [s.key, s]));
  const more = settings.filter((s) => placeOf(s.key).group === MORE);
  return [...groups, MORE].map((group) => ({
    id: group.id, title: group.title,
    settings: group === MORE ? more : Object.keys(group.settings).map((k) => known.get(k)).filter(Boolean),
  })).filter((group) => group.settings.length > 0);
}

function isLoopback(listen) {
  return /^(127\.\d+\.\d+\.\d+|localhost|\[::1\])(:\d+)?$/i.test(String(listen).trim());
}

/** What a person must know before this value is saved; null: nothing. */
export function danger(key, value) {
  if (key === "api_listen" && !isLoopback(value))
    return "Other machines can reach the API then. Every request needs the key, but nothing on that address is encrypted: "
      + "whoever is on the way can read the key, the questions and the answers. A tunnel to 127.0.0.1 is safer.";
  if (key === "api_allowed_origins" && value.length)
    return "Pages of these origins may ask as you do, and read what this page shows. They change nothing without the key.";
  if (key === "legacy_plaintext" && value === true)
    return "Questions and answers with nodes of the old protocol pass in clear. The relay can read and change them.";
  if (key === "wan_allow_insecure_relay" && value === true)
    return "The connection to such a relay is not encrypted. What peers say stays sealed, but whoever is on the way sees "
      + "which nodes deal with each other.";
  return null;
}
