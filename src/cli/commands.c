#include "cli/commands.h"

#include "cli/nodefind.h"

static const tl_option no_options[] = {{NULL, 0, NULL, NULL}};

/* Options of `up` and `serve`: they override the file while that process runs. */
#define RUN_OPTIONS                                                                                \
    {"share", 0, "URL", "share this model server with others; \"auto\" looks for one"},            \
        {"share-key-file", 0, "FILE", "file with the key that the model server wants"},            \
        {"model", 0, "ID", "share this model only (may be repeated)"},                             \
        {"relay", 0, "URL", "connect through this relay (may be repeated)"},                       \
        {"private", 0, NULL, "serve only members of your networks"},                               \
        {"api", 0, "HOST:PORT", "where the HTTP API listens (port 0: any)"},                       \
        {"udp", 0, "PORT", "UDP port for connections between nodes (0: any)"},                     \
        {"relayed", 0, NULL, "never go direct: peers see only the relay's address"},               \
        {"insecure-relay", 0, NULL, "allow a plain ws:// relay that is not on this machine"},      \
    {                                                                                              \
        "log-level", 0, "LEVEL", "error, warn, info or debug"                                      \
    }

static const tl_option up_options[] = {
    RUN_OPTIONS,
    {"boot", 0, NULL, "as a service that starts with the machine; options become settings"},
    {"foreground", 0, NULL, "stay in the foreground, as `teale serve` does"},
    {"timeout", 0, "TIME", "how long to wait for relay and model server: seconds, or 2m (10)"},
    {NULL, 0, NULL, NULL},
};

static const tl_option serve_options[] = {
    RUN_OPTIONS,
    {"log-file", 0, "FILE", "log there instead of stderr, kept below 10 MiB"},
    {NULL, 0, NULL, NULL},
};

#define TIMEOUT_OPTION                                                                             \
    {                                                                                              \
        "timeout", 0, "TIME", "give up after so long: seconds, or 5m (exit code 6)"                \
    }

static const tl_option down_options[] = {
    {"boot", 0, NULL, "stop the service, and start it with the machine no more"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};
static const tl_option read_options[] = {TIMEOUT_OPTION, {NULL, 0, NULL, NULL}};

static const tl_option why_options[] = {
    {"model", 0, "MODEL", "who would answer this model's next question, and why"},
    {"ptn", 0, "NET", "with --model: of this private network alone"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option env_options[] = {
    {"ptn", 0, "NET", "with the key of this private network, which scopes every request to it"},
    {"owner", 0, NULL,
     "print the owner's key alone, which the page asks for where it is not on loopback"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option peers_options[] = {
    {"wan", 0, NULL, "only peers across the internet"},
    {"cluster", 0, NULL, "only peers on the local network"},
    {"long", 'l', NULL, "whole node IDs"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option alias_options[] = {
    {"remove", 0, "PEER", "PEER has no alias any more"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option chat_options[] = {
    {"model", 'm', "MODEL", "the model to ask (teale-auto)"},
    {"peer", 0, "PEER", "ask this peer and no other: its alias, name or ID"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option ping_options[] = {
    {"count", 'c', "N", "how many round trips (4)"},
    {"until-direct", 0, NULL, "end with the first answer that was not relayed (within 30 s)"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option backup_create_options[] = {
    {"holders", 0, "N",
     "so many nodes hold a fragment, 2 to 16; else as many as there are, up to 10"},
    {"strangers", 0, NULL, "nodes of no network of yours may hold fragments, too"},
    {"new", 0, NULL, "make new words; what those of before bring back is deleted"},
    TIMEOUT_OPTION,
    {NULL, 0, NULL, NULL},
};

static const tl_option restore_options[] = {
    {"words-file", 0, "FILE", "the words are in this file (\"-\": standard input)"},
    {"bootstrap", 0, "HOST:PORT", "enter the DHT here (may be repeated); else as the settings say"},
    {"relay", 0, "URL", "connect through this relay, too (may be repeated)"},
    {"insecure-relay", 0, NULL, "allow a plain ws:// relay that is not on this machine"},
    {"log-level", 0, "LEVEL", "error, warn, info or debug"},
    {NULL, 0, NULL, NULL},
};

/* In the order of `teale help`: these, then those of commands_networks.c, then the rest. */
static const tl_command first[] = {
    {"up", "", 0, 0, "start the node in the background",
     "Shows what it finds. Sharing is explicit: without --share (or the setting `share`) this\n"
     "machine asks others and serves nobody. Options given here win over the file while the node\n"
     "runs. If a node runs already, nothing is changed; if it is stopping, its end is waited for.\n"
     "Exits with 1 if nothing can be shared although it should be, and with 4 or 6 if the relay\n"
     "is not reached; the node runs on. With --json it prints the status at the end.",
     up_options, true, false, tl_cmd_up},
    {"down", "", 0, 0, "finish what runs, then stop the node",
     "Running answers get 30 seconds to finish. New questions are refused.", down_options, false,
     false, tl_cmd_down},
    {"restart", "", 0, 0, "stop the node, then start it with the options that it has",
     "For settings that take effect after a restart. Stops as `teale down` does, and starts as\n"
     "`teale up` with the options of before; a service is restarted by systemd. --timeout is for\n"
     "the end. A node that `teale serve` runs in the foreground is restarted where it was started.",
     read_options, true, false, tl_cmd_restart},
    {"serve", "", 0, 0, "run the node in the foreground",
     "For systemd and scripts: logs to stderr and prints one line on stdout when it is ready:\n"
     "  ready api=http://HOST:PORT/v1 node=<node ID>\n"
     "SIGTERM or SIGINT lets running answers finish (30 seconds); a second one ends the node at\n"
     "once.",
     serve_options, false, false, tl_cmd_serve},
    {"status", "", 0, 0, "how the node is connected and what it does", "", read_options, true,
     false, tl_cmd_status},
    {"peers", "", 0, 0, "the nodes that are known or connected", "", peers_options, true, false,
     tl_cmd_peers},
    {"peers alias", "[PEER NAME]", 0, 2,
     "call a peer by a word of yours; without arguments list them",
     TL_NODEFIND_FORMS
     "\n"
     "NAME is a word of letters, digits and . _ - +. It stands for PEER in every command, before\n"
     "any name that a node gives itself, and is kept in backups. Nobody else sees it.",
     alias_options, true, false, tl_cmd_alias},
    {"models", "", 0, 0, "the models that can be asked, and where they are", "", read_options, true,
     false, tl_cmd_models},
    {"chat", "[PROMPT]", 0, TL_ARGS_MAX, "ask a model; the answer comes as it is made",
     "Without PROMPT it is a conversation: lines can be edited, /help lists its commands, @PATH\n"
     "adds a picture or a text file, Tab completes both. Ctrl-C stops an answer, Ctrl-D leaves.\n"
     "PROMPT is asked as it stands: an @ in it names no file.\n"
     "Text from a pipe or a file is the prompt, or follows PROMPT:\n"
     "`teale chat summarise <report.txt`. With --json one object is printed at the end.",
     chat_options, true, false, tl_cmd_chat},
};

static const tl_command rest[] = {
    {"ping", "PEER", 1, 1, "measure round trips to a peer; connects to it if needed",
     TL_NODEFIND_PEER, ping_options, true, false, tl_cmd_ping},
    {"why", "[PEER]", 0, 1, "why the path to a peer is what it is, or who would answer a model",
     "Tells what was tried, what came back, which rule chose the path, and what would change it.\n"
     "It does not connect to the peer: `teale ping PEER` does. With --model it ranks the nodes\n"
     "that serve the model, each with its reason.\n" TL_NODEFIND_PEER,
     why_options, true, false, tl_cmd_why},
    {"netcheck", "", 0, 0, "ask the STUN servers again, and show what the network lets through", "",
     read_options, true, false, tl_cmd_netcheck},
    {"doctor", "", 0, 0, "every obstacle found, each with its evidence and remedy",
     "Exits with 1 if there is a problem. A warning is not a failure.", read_options, true, false,
     tl_cmd_doctor},
    {"watch", "", 0, 0, "show events and paths as they change, until Ctrl-C",
     "With --json, one object a line.", read_options, true, false, tl_cmd_watch},
    {"bugreport", "", 0, 0, "print what a bug report needs, without private parts",
     "Settings, status, doctor, netcheck and the end of the log, without keys and names.\n"
     "Addresses and node IDs are cut short. Read it before you post it.",
     no_options, false, false, tl_cmd_bugreport},
    {"config get", "KEY", 1, 1, "print one setting", "", no_options, true, false,
     tl_cmd_config_get},
    {"config set", "KEY VALUE", 2, 2, "change one setting in the file",
     "Comments and order of the file are kept. Lists are written as there: '[\"a\", \"b\"]'.\n"
     "A running node applies the change at once, or the command says that a restart is\n"
     "needed.",
     no_options, false, false, tl_cmd_config_set},
    {"config list", "", 0, 0, "print every setting", "", no_options, true, false,
     tl_cmd_config_list},
    {"config path", "", 0, 0, "print where the file is", "", no_options, true, false,
     tl_cmd_config_path},
    {"env", "", 0, 0, "print the exports that an OpenAI client needs",
     "Use it so: eval \"$(teale env)\"", env_options, true, false, tl_cmd_env},
    {"dht get", "PEER", 1, 1, "print what a node says of itself in the DHT",
     "How it is reached: its NAT's type, its public addresses, and the nodes and relays that "
     "help.\n"
     "It need not be known: all 64 digits of an ID do.\n" TL_NODEFIND_PEER,
     read_options, true, false, tl_cmd_dht_get},
    {"relay status", "", 0, 0, "print what this node relays for others",
     "Set nat.relay_enabled for it; see teale.toml(5).", no_options, true, false,
     tl_cmd_relay_status},
    {"relay", "[ARGUMENT]...", 0, TL_ARGS_MAX, "run a relay: the same as teale-relay",
     "All arguments go to teale-relay as they are; see teale-relay(8).", no_options, false, true,
     tl_cmd_relay},
    {"backup create", "", 0, 0, "keep this node's identity, networks and ledger at other nodes",
     "Prints 24 words, once: write them on paper. Other nodes, members of your networks first,\n"
     "get encrypted fragments, of which some are enough to bring all of it back. The backup "
     "renews\n"
     "itself when networks change, and daily for the ledger, and grows as members join.",
     backup_create_options, true, false, tl_cmd_backup_create},
    {"backup status", "", 0, 0, "who holds the backup, and how many of them may be lost", "",
     read_options, true, false, tl_cmd_backup_status},
    {"backup drop", "", 0, 0, "withdraw the backup: those that hold it delete it",
     "The 24 words are worth nothing then. Says which holders could not be reached, and exits\n"
     "with 4 where there are some: they are told when they are met, as long as this node runs.",
     read_options, true, false, tl_cmd_backup_drop},
    {"backup takeover", "", 0, 0, "be the node on this machine again, though another was restored",
     "A machine whose node was restored on another one stands aside. This takes the node back,\n"
     "with the same words; the other one stands aside then. What that one earned, spent and\n"
     "signed is not here.",
     read_options, true, false, tl_cmd_backup_takeover},
    {"backup restore", "", 0, 0, "bring a lost node back on this machine, from its 24 words",
     "Asks for the words on the terminal, or reads them from standard input where that is none.\n"
     "No node must run here, and none may have been here: nothing is written over. All of it is\n"
     "restored, or nothing. Exits with 4 where the backup is not found or too few of its holders\n"
     "are reached, and with 5 where what they give was altered or is older than one seen here.",
     restore_options, true, false, tl_cmd_backup_restore},
    {"key where", "", 0, 0, "print where this node's private key is", "", no_options, true, false,
     tl_cmd_key_where},
    {"key move", "file|keychain", 1, 1, "move the private key to a file, or to the keychain",
     "The keychain is that of the desktop session: GNOME Keyring, KWallet, KeePassXC. The key is\n"
     "written to its new place and read back before it leaves the old one. A node whose key is in\n"
     "the keychain starts when that is unlocked: at a login, not at boot.",
     no_options, true, false, tl_cmd_key_move},
    {"key export", "FILE", 1, 1, "copy the private key into a new file",
     "Whoever has the file can act as this node. It holds 32 bytes: as wan-identity.key in the\n"
     "directory of another node's files it makes that node this one. Two machines cannot be it at\n"
     "the same time.",
     no_options, true, false, tl_cmd_key_export},
    {"completion", "SHELL", 1, TL_ARGS_MAX, "print the completion script for bash, zsh or fish",
     "For this shell: eval \"$(teale completion bash)\"\n"
     "The scripts ask `teale completion words -- WORD...` what may come next: commands, options,\n"
     "settings and their values, and from a running node peers and models.",
     no_options, false, false, tl_cmd_completion},
};

const tl_command *tl_command_at(size_t i)
{
    const size_t first_n = sizeof first / sizeof *first, rest_n = sizeof rest / sizeof *rest;
    if (i < first_n)
        return &first[i];
    i -= first_n;
    if (i < tl_commands_of_networks_n)
        return &tl_commands_of_networks[i];
    i -= tl_commands_of_networks_n;
    return i < rest_n ? &rest[i] : NULL;
}
