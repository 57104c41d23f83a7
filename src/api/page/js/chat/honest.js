// honest.js - where a link goes, unless its words say exactly that. Pure.

/** Are the words the link itself, as it is or without "https://", with its host where a reader looks for it? */
function isItself(said, href, url) {
  const scheme = `${url.protocol}//`;
  const whole = said.toLowerCase().startsWith(scheme) ? said : scheme + said;
  const begin = scheme + url.host;
  const next = whole[begin.length];
  if (!whole.toLowerCase().startsWith(begin)) return false; // somebody before an "@", letters of another alphabet
  return next === undefined || (whole === href && "/?#".includes(next));
}

/**
 * The host behind a link, or the addresses of a mail, to be shown beside its words; "" where the words are exactly that
 * host, that address, or the whole link. No word is looked for in them: what only looks like an address (behind a quote,
 * with a letter of another alphabet, with a character that nobody sees) says nothing of where the link goes.
 * @param {string} words  what the link shows
 * @param {string} href  as it stands in the answer
 */
export function whereTo(words, href) {
  let url;
  try {
    url = new URL(href);
  } catch (e) {
    return ""; // it leads nowhere
  }
  const said = words.trim();
  if (url.host) return isItself(said, href, url) ? "" : url.host;
  return said === url.pathname || said === href ? "" : url.pathname;
}
