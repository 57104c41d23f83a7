/* clusterscripts.h - what Redis decides in one step for the cluster (relayd/cluster.c), in its Lua.
 * Epochs are microseconds since 1970 of Redis' clock, and always above the last one: so they grow
 * even when Redis has forgotten all keys. They fit a double until the year 2255. */
#ifndef TL_RELAYD_CLUSTERSCRIPTS_H
#define TL_RELAYD_CLUSTERSCRIPTS_H

#define TL_RELAYD_REFRESH_PART 64 /* nodes of one refresh: a script of about 0.2 ms */

/* KEYS: node, epoch. ARGV: the least epoch, seconds to live, relay, channel, the message before its
 * epoch and behind it. Returns the epoch. */
#define TL_RELAYD_SCRIPT_CLAIM                                                                     \
    "local t=redis.call('TIME')\n"                                                                 \
    "local e=tonumber(t[1])*1000000+tonumber(t[2])\n"                                              \
    "local p=tonumber(ARGV[1])\n"                                                                  \
    "if p>e and p<9e15 then e=p end\n"                                                             \
    "local l=tonumber(redis.call('GET',KEYS[2]) or '0') or 0\n"                                    \
    "if e<=l then e=l+1 end\n"                                                                     \
    "local k=string.format('%.0f',e)\n"                                                            \
    "redis.call('SET',KEYS[2],k,'EX',ARGV[2])\n"                                                   \
    "redis.call('SET',KEYS[1],ARGV[3]..' '..k,'EX',ARGV[2])\n"                                     \
    "redis.call('PUBLISH',ARGV[4],ARGV[5]..struct.pack('>I8',e)..ARGV[6])\n"                       \
    "return k"

/* KEYS: epoch, then nodes. ARGV: relay, seconds to live, then the epoch of each node. Returns the
 * numbers of those that have a higher one: they are at another relay. */
#define TL_RELAYD_SCRIPT_REFRESH                                                                   \
    "local lost={}\n"                                                                              \
    "redis.call('EXPIRE',KEYS[1],ARGV[2])\n"                                                       \
    "for i=2,#KEYS do\n"                                                                           \
    " local v=redis.call('GET',KEYS[i])\n"                                                         \
    " local o=v and tonumber(string.match(v,' (%d+)$') or '0') or 0\n"                             \
    " if o>tonumber(ARGV[i+1]) then lost[#lost+1]=i-1\n"                                           \
    " else redis.call('SET',KEYS[i],ARGV[1]..' '..ARGV[i+1],'EX',ARGV[2]) end\n"                   \
    "end\n"                                                                                        \
    "return lost"

/* KEYS: node. ARGV: relay and epoch, channel, message (may be empty). */
#define TL_RELAYD_SCRIPT_RELEASE                                                                   \
    "if redis.call('GET',KEYS[1])==ARGV[1] then redis.call('DEL',KEYS[1]) end\n"                   \
    "if ARGV[3]~='' then redis.call('PUBLISH',ARGV[2],ARGV[3]) end\n"                              \
    "return 1"

#endif
