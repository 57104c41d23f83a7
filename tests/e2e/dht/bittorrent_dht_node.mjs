// bittorrent_dht_node.mjs ADDRESS:PORT DOOR...: the npm package bittorrent-dht (WebTorrent's) as a node. The lines
// that it takes and says are those of libtorrent_node.py.
import crypto from 'node:crypto'
import readline from 'node:readline'
import DHT from 'bittorrent-dht'

// What DER has before the bytes of an Ed25519 key (RFC 8410).
const PRIVATE = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC = Buffer.from('302a300506032b6570032100', 'hex')

const privateKey = seed => crypto.createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' })
const publicKey = key => crypto.createPublicKey({ key: Buffer.concat([PUBLIC, key]), format: 'der', type: 'spki' })
const rawOf = key => crypto.createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(PUBLIC.length)
const verify = (sig, message, key) => crypto.verify(null, message, publicKey(Buffer.from(key)), sig)

const [at, ...doors] = process.argv.slice(2)
const dht = new DHT({ verify, bootstrap: doors, host: false })
const say = line => process.stdout.write(line + '\n')

function get (key, salt) {
  const target = crypto.createHash('sha1').update(key).update(salt).digest()
  dht.get(target, { salt, cache: false }, (err, item) => {
    say(err || !item ? 'none' : `item ${item.seq} ${Buffer.from(item.v).toString('hex')}`)
  })
}

function put (seed, salt, seq, value) {
  const key = privateKey(seed)
  const item = { k: Buffer.from(rawOf(key)), salt, seq, v: value, sign: message => crypto.sign(null, message, key) }
  dht.put(item, (err, _, n) => say(err ? `failed ${err.message}` : `put ${n}`))
}

const [address, port] = at.split(':')
dht.listen(Number(port), address, () => say('ready'))
readline.createInterface({ input: process.stdin }).on('line', line => {
  const [verb, who, salt, seq, value] = line.split(' ')
  if (verb === 'get') get(Buffer.from(who, 'hex'), Buffer.from(salt))
  else put(Buffer.from(who, 'hex'), Buffer.from(salt), Number(seq), Buffer.from(value, 'hex'))
}).on('close', () => process.exit(0))
